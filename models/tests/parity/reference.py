"""Makes the reference scores of the parity tests with llama.cpp.

    pip install numpy gguf llama-cpp-python==0.3.36
    python models/tests/parity/reference.py

The weights are a formula (a hash of the place of a number), so that models/tests/support/gguf.rs makes the same files bit for bit
and only the scores are committed: for each family and format a file of 5 x 1024 f32, the scores behind 1, 64, 512, 2000 and 4000
tokens. llama.cpp runs without repacked weights and flash attention, and with keys and values in f32.
"""
import ctypes
import os
import sys
import tempfile

import gguf
import numpy as np

HIDDEN, INNER, HEADS, KV, SIZE, LAYERS, VOCABULARY, CONTEXT = 256, 512, 4, 2, 64, 3, 1024, 8192
LENGTHS = [1, 64, 512, 2000, 4000]
BASE = {"llama": 5e5, "qwen2": 1e6, "qwen3": 1e6}
PRE = {"llama": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2"}


def mix(x):
    """splitmix64"""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def hashes(tensor, count):
    return mix((np.uint64(tensor) << np.uint64(32)) + np.arange(count, dtype=np.uint64))


def uniform(tensor, count):
    """-1..1 in steps of 1/1000"""
    return (hashes(tensor, count) % np.uint64(2001)).astype(np.float64) / 1000.0 - 1.0


def f16(tensor, shape, scale):
    return (uniform(tensor, int(np.prod(shape))) * scale).astype(np.float16).reshape(shape)


def q8_0(tensor, shape, scale):
    blocks = int(np.prod(shape)) // 32
    out = np.zeros((blocks, 34), np.uint8)
    out[:, 0:2] = np.array([scale / 127], np.float16).view(np.uint8)
    numbers = hashes(tensor, blocks * 32) % np.uint64(255)
    out[:, 2:] = (numbers.astype(np.int16) - 127).astype(np.int8).view(np.uint8).reshape(blocks, 32)
    return out.reshape(shape[0], -1)


def q4_k(tensor, shape, scale):
    blocks = int(np.prod(shape)) // 256
    draw = hashes(tensor, blocks * 136).reshape(blocks, 136)
    step = scale / (7.5 * 48)
    out = np.zeros((blocks, 144), np.uint8)
    out[:, 0:2] = np.array([step], np.float16).view(np.uint8)
    out[:, 2:4] = np.array([step * 7.5], np.float16).view(np.uint8)
    s = (draw[:, :8] % np.uint64(32)).astype(np.uint8) + 32
    for j in range(4):
        out[:, 4 + j] = s[:, j] | ((s[:, j + 4] >> 4) << 6)
        out[:, 8 + j] = s[:, j] | ((s[:, j + 4] >> 4) << 6)
        out[:, 12 + j] = (s[:, j + 4] & 15) | ((s[:, j + 4] & 15) << 4)
    out[:, 16:] = (draw[:, 8:] & np.uint64(255)).astype(np.uint8)
    return out.reshape(shape[0], -1)


def q6_k(tensor, shape, scale):
    blocks = int(np.prod(shape)) // 256
    draw = hashes(tensor, blocks * 208).reshape(blocks, 208)
    out = np.zeros((blocks, 210), np.uint8)
    out[:, :192] = (draw[:, :192] & np.uint64(255)).astype(np.uint8)
    out[:, 192:208] = (draw[:, 192:] % np.uint64(32)).astype(np.uint8) + 32
    out[:, 208:210] = np.array([scale / (32 * 48)], np.float16).view(np.uint8)
    return out.reshape(shape[0], -1)


MAKERS = {
    "f16": (f16, gguf.GGMLQuantizationType.F16),
    "q8_0": (q8_0, gguf.GGMLQuantizationType.Q8_0),
    "q4_k": (q4_k, gguf.GGMLQuantizationType.Q4_K),
    "q6_k": (q6_k, gguf.GGMLQuantizationType.Q6_K),
}


def fine(fmt, is_fine):
    return fmt if fmt in ("f16", "q8_0") else ("q6_k" if is_fine else "q4_k")


def tensors(family, fmt):
    """name, kind, shape, scale, in the order in which they are numbered"""
    queries, keys = HEADS * SIZE, KV * SIZE
    # A tied head makes the scores as large as the embedding.
    yield "token_embd.weight", fine(fmt, True), (VOCABULARY, HIDDEN), 0.115 if family == "qwen3" else 0.5
    yield "output_norm.weight", "norm", (HIDDEN,), 0.1
    if family != "qwen3":
        yield "output.weight", fine(fmt, True), (VOCABULARY, HIDDEN), 0.115
    for layer in range(LAYERS):
        p = f"blk.{layer}."
        yield p + "attn_norm.weight", "norm", (HIDDEN,), 0.1
        yield p + "ffn_norm.weight", "norm", (HIDDEN,), 0.1
        yield p + "attn_q.weight", fine(fmt, False), (queries, HIDDEN), 0.1
        yield p + "attn_k.weight", fine(fmt, False), (keys, HIDDEN), 0.1
        yield p + "attn_v.weight", fine(fmt, layer == 0), (keys, HIDDEN), 0.1
        yield p + "attn_output.weight", fine(fmt, False), (HIDDEN, queries), 0.1
        yield p + "ffn_gate.weight", fine(fmt, False), (INNER, HIDDEN), 0.1
        yield p + "ffn_up.weight", fine(fmt, False), (INNER, HIDDEN), 0.1
        yield p + "ffn_down.weight", fine(fmt, layer == 0), (HIDDEN, INNER), 0.1
        if family == "qwen2":
            yield p + "attn_q.bias", "bias", (queries,), 0.2
            yield p + "attn_k.bias", "bias", (keys,), 0.2
            yield p + "attn_v.bias", "bias", (keys,), 0.2
        if family == "qwen3":
            yield p + "attn_q_norm.weight", "norm", (SIZE,), 0.1
            yield p + "attn_k_norm.weight", "norm", (SIZE,), 0.1


def vocabulary():
    own = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    names, shifted = [], 256
    for byte in range(256):
        names.append(chr(byte) if byte in own else chr(shifted))
        shifted += byte not in own
    kinds = [1] * 256
    while len(names) < VOCABULARY - 3:
        names.append(f"[PAD{len(names)}]")
        kinds.append(5)
    return names + ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], kinds + [3] * 3


def write(path, family, fmt):
    w = gguf.GGUFWriter(path, family)
    w.add_context_length(CONTEXT)
    w.add_embedding_length(HIDDEN)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(INNER)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_key_length(SIZE)
    w.add_value_length(SIZE)
    w.add_rope_dimension_count(SIZE)
    w.add_rope_freq_base(BASE[family])
    w.add_layer_norm_rms_eps(1e-6)
    w.add_vocab_size(VOCABULARY)
    names, kinds = vocabulary()
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(PRE[family])
    w.add_token_list(names)
    w.add_token_types(kinds)
    w.add_token_merges(["t h"])
    w.add_eos_token_id(VOCABULARY - 1)
    w.add_bos_token_id(VOCABULARY - 3)
    w.add_add_bos_token(False)
    for number, (name, kind, shape, scale) in enumerate(tensors(family, fmt)):
        if kind in ("norm", "bias"):
            numbers = uniform(number, shape[0]) * scale + (1.0 if kind == "norm" else 0.0)
            w.add_tensor(name, numbers.astype(np.float32))
        else:
            make, dtype = MAKERS[kind]
            w.add_tensor(name, make(number, shape, scale), raw_dtype=dtype)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def scores(path):
    import llama_cpp as L

    quiet = L.llama_log_callback(lambda *a: None)
    L.llama_log_set(quiet, ctypes.c_void_p(0))
    L.llama_backend_init()
    mp = L.llama_model_default_params()
    mp.n_gpu_layers, mp.use_extra_bufts = 0, False
    model = L.llama_model_load_from_file(path.encode(), mp)
    cp = L.llama_context_default_params()
    cp.n_ctx, cp.n_batch, cp.n_ubatch, cp.n_threads, cp.n_threads_batch = CONTEXT, 4096, 512, 2, 2
    cp.type_k = cp.type_v = 0
    cp.flash_attn_type = 0
    context = L.llama_init_from_model(model, cp)
    out = []
    for n in LENGTHS:
        L.llama_memory_clear(L.llama_get_memory(context), True)
        b = L.llama_batch_init(n, 0, 1)
        for i in range(n):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = (i * 7919 + 13) % 1000, i, 1, i == n - 1
            b.seq_id[i][0] = 0
        b.n_tokens = n
        assert L.llama_decode(context, b) == 0
        out.append(np.ctypeslib.as_array(L.llama_get_logits_ith(context, -1), shape=(VOCABULARY,)).copy())
        L.llama_batch_free(b)
    return np.stack(out).astype(np.float32)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    keep = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    for family in BASE:
        for fmt in ("f16", "q8_0", "q4_k"):
            path = os.path.join(keep, f"{family}-{fmt}.gguf")
            write(path, family, fmt)
            found = scores(path)
            print(family, fmt, "std of the scores", found.std(axis=1))
            found.tofile(os.path.join(here, f"{family}-{fmt}.bin"))
