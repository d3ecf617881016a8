#!/usr/bin/env bash
# The compiler as `scripts/fuzz.sh` calls it: crates that read untrusted bytes get coverage counters, the others stay as they are,
# which keeps the build short and libFuzzer's eyes on parsers. The pass is in the compiler's LLVM, so stable Rust will do.
set -euo pipefail
rustc=$1
shift
parsers=' quire_extract quire_fuzz calamine csv_core encoding_rs exif hayro_syntax html5ever image image_webp gif png tiff lopdf
 mail_parser markup5ever pdf_extract pulldown_cmark quick_xml scraper weezl zip zune_jpeg tendril adobe_cmap_parser '
name=
for ((at = 1; at <= $#; at++)); do
  [ "${!at}" = --crate-name ] && { next=$((at + 1)); name=${!next}; break; }
done
if [[ -n $name && ${parsers//$'\n'/ } == *" $name "* ]]; then
  set -- "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
fi
exec "$rustc" "$@"
