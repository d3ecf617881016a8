#!/usr/bin/env bash
# Times the decoder beside llama.cpp, and the embedder beside candle's, on this machine. Programs run in turn, so that a busy
# machine hurts both; read the ratios. ROUNDS=3 SHAPE=qwen3-0.6b FORMAT=q4; CANDLE_NUM_THREADS=1 makes both use one thread, so that
# the rates per processor second compare the work itself.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${ROUNDS:-3}
shape=${SHAPE:-qwen3-0.6b}
format=${FORMAT:-q4}
work=target/bench-models
file=$work/$shape-$format.gguf
python=${BENCH_PYTHON:-$work/venv/bin/python}

mkdir -p "$work"
cargo build --release -p quire-models --example bench_generate --example bench_embed
[ -e "$file" ] || target/release/examples/bench_generate make "$shape" "$format" "$file"

if ! "$python" -c 'import llama_cpp' 2>/dev/null; then
    # Built from source for this processor, as a distribution would: several minutes.
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --no-binary llama-cpp-python 'llama-cpp-python==0.3.36' ||
        echo "bench-models: llama.cpp could not be installed; its column stays empty" >&2
fi

for round in $(seq "$rounds"); do
    target/release/examples/bench_generate run "$file" | sed "s/^/quire $round /"
    if "$python" -c 'import llama_cpp' 2>/dev/null; then
        "$python" scripts/bench-models/peer.py "$file" | sed "s/^/llama.cpp $round /"
    fi
done | tee "$work/figures.txt" | python3 scripts/bench-models/table.py

# The embedder needs its model: `make setup test` or `quire models pull` has put it there.
if [ -d target/models/all-MiniLM-L6-v2 ]; then
    target/release/examples/bench_embed target/models
fi
