#!/usr/bin/env bash
# Times the decoder beside llama.cpp and the embedder beside onnxruntime on this machine, and prints one table with the goals.
# Programs run in turn, so that a busy machine hurts all; rates count processor seconds.
# ROUNDS=3 (1 is a quick look) THREADS=1 SHAPE=qwen3-0.6b FORMAT=q4. One thread by default, so that the rates compare the work itself
# and no thread waits for another beside busy neighbours; on a quiet machine THREADS=2 shows what users see.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${ROUNDS:-3}
shape=${SHAPE:-qwen3-0.6b}
format=${FORMAT:-q4}
export CANDLE_NUM_THREADS=${THREADS:-1} RAYON_NUM_THREADS=${THREADS:-1}
# The tokenizer of the peer starts threads of its own, whatever it is told otherwise.
[ "$CANDLE_NUM_THREADS" = 1 ] && export TOKENIZERS_PARALLELISM=false
work=target/bench-models
models=target/models
file=$work/$shape-$format.gguf
python=${BENCH_PYTHON:-$work/venv/bin/python}

has() { "$python" -c "import $1" 2>/dev/null; }

mkdir -p "$work"
cargo build --release -p quire-models --example bench_generate --example bench_embed
[ -e "$file" ] || target/release/examples/bench_generate make "$shape" "$format" "$file"

[ -e "$python" ] || python3 -m venv "$work/venv"
if ! has llama_cpp; then
    # Built from source for this processor, as a distribution would: several minutes. A ready wheel when that fails.
    pip="$python -m pip install --quiet llama-cpp-python==0.3.36"
    $pip --no-binary llama-cpp-python || $pip ||
        echo "bench-models: llama.cpp could not be installed; its figures are missing" >&2
fi
if ! has onnxruntime || ! has onnx || ! has tokenizers; then
    "$python" -m pip install --quiet onnxruntime onnx tokenizers numpy ||
        echo "bench-models: onnxruntime could not be installed; its figures are missing" >&2
fi

# turn PROGRAM ROUND COMMAND...
turn() { "${@:3}" | sed "s/^/$1 $2 /"; }

for round in $(seq "$rounds"); do
    turn quire "$round" target/release/examples/bench_generate run "$file"
    ! has llama_cpp || turn llama.cpp "$round" "$python" scripts/bench-models/peer.py "$file"
    # The embedder needs its model: `make setup test` or `quire models pull` has put it there.
    if [ -d "$models/all-MiniLM-L6-v2" ]; then
        turn quire "$round" target/release/examples/bench_embed figures "$models"
        ! has onnxruntime || turn onnxruntime "$round" "$python" scripts/bench-models/peer_embed.py "$models" "$work"
    fi
done > "$work/figures.txt"
python3 scripts/bench-models/table.py < "$work/figures.txt"
