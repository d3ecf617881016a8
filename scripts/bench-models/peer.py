"""The peer of models/examples/bench_generate.rs: the same figures of llama.cpp on the same file. Prints `name value` lines."""
import ctypes
import os
import sys
import time

import llama_cpp as L

PROMPT, TOKENS, THREADS = 512, 48, int(os.environ.get("CANDLE_NUM_THREADS", os.cpu_count()))
SEQUENCES = 8
CONTEXT = SEQUENCES * (PROMPT + TOKENS) + 512


def memory(line):
    for text in open("/proc/self/status"):
        if text.startswith(line):
            return int(text.split()[1]) / 1024


def prompt(kind, count):
    return [(i * 79 + kind * 13 + 7) % 256 for i in range(count)]


def report(name, value):
    print(f"{name} {value:.4f}", flush=True)


class Model:
    def __init__(self, path):
        self.quiet = L.llama_log_callback(lambda *a: None)
        L.llama_log_set(self.quiet, ctypes.c_void_p(0))
        L.llama_backend_init()
        mp = L.llama_model_default_params()
        mp.n_gpu_layers = 0
        self.model = L.llama_model_load_from_file(path.encode(), mp)
        cp = L.llama_context_default_params()
        cp.n_ctx, cp.n_batch, cp.n_ubatch, cp.n_seq_max = CONTEXT, 4096, 512, SEQUENCES
        cp.n_threads = cp.n_threads_batch = THREADS
        cp.kv_unified = True
        self.context = L.llama_init_from_model(self.model, cp)

    def clear(self):
        L.llama_memory_clear(L.llama_get_memory(self.context), True)

    def step(self, rows):
        """rows: sequence, position, token, whether its scores are wanted"""
        b = L.llama_batch_init(len(rows), 0, 1)
        for i, (sequence, position, token, wanted) in enumerate(rows):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, position, 1, wanted
            b.seq_id[i][0] = sequence
        b.n_tokens = len(rows)
        start = time.perf_counter()
        assert L.llama_decode(self.context, b) == 0
        L.llama_synchronize(self.context)
        seconds = time.perf_counter() - start
        L.llama_batch_free(b)
        return seconds

    def prefill(self, tokens):
        return self.step([(0, i, token, i == len(tokens) - 1) for i, token in enumerate(tokens)])


start = time.perf_counter()
model = Model(sys.argv[1])
model.prefill(prompt(1, 8))
report("load_to_first_token_s", time.perf_counter() - start)
model.clear()
model.prefill(prompt(2, PROMPT))
report("memory_mb", memory("VmRSS:"))
found = []
spent = time.process_time()
for kind in range(3, 6):
    model.clear()
    found.append(PROMPT / model.prefill(prompt(kind, PROMPT)))
report("prefill_tps", sorted(found)[1])
report("prefill_tokens_per_cpu_s", 3 * PROMPT / (time.process_time() - spent))
for count in (1, 4, 8):
    model.clear()
    model.prefill(prompt(7, PROMPT))
    for sequence in range(1, count):
        L.llama_memory_seq_cp(L.llama_get_memory(model.context), 0, sequence, -1, -1)
    spent = time.process_time()
    times = sorted(model.step([(s, PROMPT + i, 5 + i, True) for s in range(count)]) for i in range(TOKENS))
    report(f"decode_b{count}_tps", count / times[TOKENS // 2])
    report(f"decode_b{count}_tokens_per_cpu_s", count * TOKENS / (time.process_time() - spent))
report("memory_peak_mb", memory("VmHWM:"))
