#!/usr/bin/env bash
# Asks the extractive engine the questions of models/eval over real documents and prints how often it was right.
# Usage: scripts/eval.sh CORPUS [MODELS]   CORPUS: the documents; MODELS: where `quire models pull` put the embedder
# The documents are extracted once, as a worker does, into target/eval.
set -euo pipefail
cd "$(dirname "$0")/.."
corpus="$1" models="${2:-}"
texts=target/eval
mkdir -p "$texts"
cargo build -q --workspace --bins

grep -o '^file = "[^"]*"' models/eval/questions.toml | cut -d'"' -f2 | while read -r file; do
    text="$texts/$(basename "$file").json"
    if [ ! -s "$text" ]; then
        target/debug/quire extract --format json "$corpus/$file" >"$text.part"
        mv "$text.part" "$text"
    fi
done

arguments=("$texts")
if [ -n "$models" ] && [ -d "$models/all-MiniLM-L6-v2" ]; then arguments+=("$models/all-MiniLM-L6-v2"); fi
cargo run -q -p quire-models --example eval -- "${arguments[@]}" ${EVAL_FLAGS:-}
