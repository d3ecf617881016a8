#!/usr/bin/env bash
# Fuzzes every format for TIME seconds each and prints executions and findings. Usage: TIME=60 scripts/fuzz.sh [FORMAT..]
#
# Stable Rust, see fuzz-rustc.sh. There is no address sanitizer, which needs a nightly compiler: safe Rust has little for it to find,
# and what matters is what ends a process. Findings stay in target/fuzz/findings/FORMAT: faults (`crash-`, `oom-`, `timeout-`) make
# this script fail, panics (`panic-PLACE`) cost production one child and are only counted. What is worth keeping goes, made smaller
# with `scripts/fuzz.sh --minimise FORMAT FILE`, to fixtures/hostile/FORMAT, where a test reads it through the sandbox.
set -euo pipefail
cd "$(dirname "$0")/.."

# Limits of one input: those of a job are 20 s and 1 GiB; a slow machine and the counters get twice the time.
seconds=${TIME:-60}
limits=(-timeout=40 -rss_limit_mb=1024 -max_len=65536)
program=target/fuzz/release/quire-fuzz
formats=(pdf csv png xlsx docx pptx html markdown eml zip text)
# The stack of the parsing thread of quire-parse, in KiB.
stack=65536

build() {
  RUSTC_WRAPPER=$PWD/scripts/fuzz-rustc.sh cargo build --release --manifest-path fuzz/Cargo.toml --target-dir target/fuzz
}

# Small files of the fixtures and of the corpus, by what their names end in.
seeds() {
  local format=$1 corpus=${QUIRE_CORPUS:-../shared/corpus} endings
  case $format in
    png) endings='png|jpe?g|gif|webp|tiff?|bmp' ;;
    csv) endings='csv|tsv' ;;
    html) endings='html?' ;;
    markdown) endings='md' ;;
    text) endings='txt' ;;
    *) endings=$format ;;
  esac
  find fixtures "$corpus" -type f -size -64k -regextype posix-extended -iregex ".*\.($endings)" ! -name 'expected.*' 2>/dev/null
  if [ -d "fixtures/hostile/$format" ]; then find "fixtures/hostile/$format" -type f; fi
}

# Copies of the seeds, named by their content; libFuzzer adds what it learns to the same folder.
plant() {
  mkdir -p "target/fuzz/corpus/$1" "target/fuzz/findings/$1"
  seeds "$1" | while read -r file; do
    cp "$file" "target/fuzz/corpus/$1/seed-$(sha256sum "$file" | cut -c1-16)"
  done
}

# One format. A fault ends libFuzzer; the rest of the time is used by starting again, each time with another seed.
fuzz() {
  local format=$1 folder=target/fuzz/findings/$1 until=$((SECONDS + seconds)) log
  log=$folder/log
  : >"$log"
  while ((SECONDS < until)); do
    (ulimit -s "$stack"; ulimit -c 0
      QUIRE_FUZZ=$format QUIRE_FUZZ_FINDINGS=$folder "$program" "target/fuzz/corpus/$format" "${limits[@]}" \
        -artifact_prefix="$folder/" -max_total_time=$((until - SECONDS)) -print_final_stats=1 >>"$log" 2>&1) || true
  done
  report "$format" "$folder" "$log"
}

report() {
  local executions faults panics
  executions=$(awk '/stat::number_of_executed_units/ {sum += $2} END {print sum + 0}' "$3")
  faults=$(find "$2" -type f \( -name 'crash-*' -o -name 'oom-*' -o -name 'timeout-*' \) | wc -l)
  panics=$(find "$2" -type f -name 'panic-*' | wc -l)
  printf '%-10s %10d executions %4d faults %4d places of panics\n' "$1" "$executions" "$faults" "$panics"
  total_faults=$((total_faults + faults))
}

total_faults=0
build
if [ "${1:-}" = --minimise ]; then
  ulimit -s "$stack"
  QUIRE_FUZZ=$2 exec "$program" -minimize_crash=1 -max_total_time="$seconds" "${limits[@]}" -exact_artifact_path="$3.min" "$3"
fi
[ "$#" -gt 0 ] && formats=("$@")
for format in "${formats[@]}"; do
  plant "$format"
  fuzz "$format"
done
# The other side: whatever a child says, the parent goes on.
HOSTILE_REPLIES=$((seconds * 100)) cargo test -q -p quire-extract --test extract hostile_replies
[ "$total_faults" = 0 ] || { echo "findings are in target/fuzz/findings"; exit 1; }
