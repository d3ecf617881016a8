#!/usr/bin/env bash
# Prints quire's extraction beside the libraries of the field. `make bench-extract ARGS="--quick"`; `--help` lists the options.
#
# Peers live in a virtual environment below target/ and are optional: what cannot be installed is a column of "not installed".
# QUIRE_CORPUS is the corpus of real files, QUIRE_PROGRAM another program than the release build to measure.
set -euo pipefail
cd "$(dirname "$0")/.."

work=target/bench-extract
python=$work/venv/bin/python
requirements=benches/extract/requirements.txt

say() { printf 'bench-extract: %s\n' "$*"; }

# One package at a time where all together fail, so that one that is not to be had costs no other.
install_peers() {
  [ -x "$python" ] || python3 -m venv "$work/venv"
  cmp -s "$requirements" "$work/installed.txt" && return
  say "installing the peers into $work/venv"
  if ! "$python" -m pip install -q -r "$requirements"; then
    grep -vE '^(#|$)' "$requirements" | while read -r package; do
      "$python" -m pip install -q "$package" || say "$package cannot be installed"
    done
  fi
  cp "$requirements" "$work/installed.txt"
}

mkdir -p "$work"
install_peers
"$python" -c 'import rapidfuzz' || { say "the metrics need RapidFuzz, which could not be installed"; exit 1; }
for program in pdftotext:poppler-utils tesseract:tesseract-ocr; do
  command -v "${program%:*}" >/dev/null || say "${program%:*} is missing: install the Debian package ${program#*:}"
done

program=${QUIRE_PROGRAM:-target/release/quire}
if [ -z "${QUIRE_PROGRAM:-}" ]; then
  cargo build --release -p quire -p quire-extract --bins
fi
exec "$python" benches/extract --program "$program" --corpus "${QUIRE_CORPUS:-../shared/corpus}" --work "$work" "$@"
