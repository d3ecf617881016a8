"""The peer of models/examples/bench_embed.rs: sentences per processor second of onnxruntime, fp32, on the same weights and texts.

The graph is written here from the safetensors, with the operators that onnxruntime has kernels for: one product for queries, keys and
values, LayerNormalization, Gelu. `peer_embed.py MODELS_DIR WORK_DIR` prints `name value` lines."""
import json
import os
import pathlib
import struct
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

MODEL, WORK = pathlib.Path(sys.argv[1]) / "all-MiniLM-L6-v2", pathlib.Path(sys.argv[2])
THREADS = int(os.environ.get("CANDLE_NUM_THREADS", os.cpu_count()))
MAX_TOKENS, TEXTS, SINGLES, BATCH = 256, 512, 64, 8
# 20 is the first with Gelu.
OPSET = 20


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            found[name] = np.frombuffer(data[8 + size + start : 8 + size + end], np.float32).reshape(entry["shape"])
    return found


class Graph:
    def __init__(self, config, weights):
        self.config, self.weights = config, weights
        self.nodes, self.tensors, self.count = [], [], 0

    def constant(self, array):
        self.count += 1
        self.tensors.append(numpy_helper.from_array(np.array(array, order="C"), f"c{self.count}"))
        return f"c{self.count}"

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        self.nodes.append(helper.make_node(kind, list(inputs), [f"t{self.count}"], **attributes))
        return f"t{self.count}"

    def ints(self, *numbers):
        return self.constant(np.array(numbers, np.int64))

    def linear(self, x, weight, bias):
        return self.op("Add", self.op("MatMul", x, self.constant(weight.T)), self.constant(bias))

    def norm(self, x, at):
        weight, bias = self.weights[f"{at}.LayerNorm.weight"], self.weights[f"{at}.LayerNorm.bias"]
        epsilon = self.config["layer_norm_eps"]
        return self.op("LayerNormalization", x, self.constant(weight), self.constant(bias), epsilon=epsilon, axis=-1)

    def dense(self, x, at):
        return self.linear(x, self.weights[f"{at}.weight"], self.weights[f"{at}.bias"])

    def embed(self):
        w, at = self.weights, "embeddings"
        words = self.op("Gather", self.constant(w[f"{at}.word_embeddings.weight"]), "ids")
        places = self.constant(w[f"{at}.position_embeddings.weight"] + w[f"{at}.token_type_embeddings.weight"][0])
        length = self.op("Slice", self.op("Shape", "ids"), self.ints(1), self.ints(2))
        places = self.op("Slice", places, self.ints(0), length, self.ints(0))
        return self.norm(self.op("Add", words, places), at)

    def attend(self, x, at, mask):
        heads, w = self.config["num_attention_heads"], self.weights
        size = self.config["hidden_size"] // heads
        scale = [size**-0.5, 1.0, 1.0]
        parts = [(f"{at}.self.{name}", s) for name, s in zip(("query", "key", "value"), scale)]
        weight = np.concatenate([w[f"{p}.weight"] * np.float32(s) for p, s in parts])
        bias = np.concatenate([w[f"{p}.bias"] * np.float32(s) for p, s in parts])
        joined = self.op("Reshape", self.linear(x, weight, bias), self.ints(0, 0, 3, heads, size))
        query = self.pick(joined, 0, [0, 2, 1, 3])
        key = self.pick(joined, 1, [0, 2, 3, 1])
        value = self.pick(joined, 2, [0, 2, 1, 3])
        scores = self.op("Softmax", self.op("Add", self.op("MatMul", query, key), mask), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", scores, value), perm=[0, 2, 1, 3])
        return self.dense(self.op("Reshape", mixed, self.ints(0, 0, heads * size)), f"{at}.output.dense")

    def pick(self, joined, index, order):
        one = self.op("Gather", joined, self.constant(np.array(index, np.int64)), axis=2)
        return self.op("Transpose", one, perm=order)

    def layer(self, x, index, mask):
        at = f"encoder.layer.{index}"
        x = self.norm(self.op("Add", x, self.attend(x, f"{at}.attention", mask)), f"{at}.attention.output")
        inner = self.op("Gelu", self.dense(x, f"{at}.intermediate.dense"))
        return self.norm(self.op("Add", x, self.dense(inner, f"{at}.output.dense")), f"{at}.output")

    def build(self):
        mask = self.op("Cast", "mask", to=TensorProto.FLOAT)
        hidden = self.op("Mul", self.op("Sub", mask, self.constant(np.float32(1))), self.constant(np.float32(1e9)))
        hidden = self.op("Unsqueeze", hidden, self.ints(1, 2))
        x = self.embed()
        for index in range(self.config["num_hidden_layers"]):
            x = self.layer(x, index, hidden)
        total = self.op("MatMul", self.op("Unsqueeze", mask, self.ints(1)), x)
        total = self.op("Squeeze", total, self.ints(1))
        self.nodes.append(helper.make_node("LpNormalization", [total], ["out"], axis=-1, p=2))
        value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
        inputs = [value(name, TensorProto.INT64, ["batch", "tokens"]) for name in ("ids", "mask")]
        outputs = [value("out", TensorProto.FLOAT, ["batch", self.config["hidden_size"]])]
        graph = helper.make_graph(self.nodes, "minilm", inputs, outputs, self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def sentences():
    """Those of `built_in_text` in bench_embed.rs."""
    words = "the licence of this document permits every reader to copy and change parts of it under some conditions".split()
    line = lambda n: " ".join(words[(n + i) % len(words)] for i in range(5 + n * 7 % 60))
    return sorted((line(n) for n in range(TEXTS)), key=len)


def main():
    file = WORK / "minilm.onnx"
    if not file.exists():
        config = json.loads((MODEL / "config.json").read_text())
        onnx.save(Graph(config, read_safetensors(MODEL / "model.safetensors")).build(), file)
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def embed(texts):
        found = tokenizer.encode_batch(texts)
        ids, mask = ([getattr(one, name) for one in found] for name in ("ids", "attention_mask"))
        return session.run(None, {"ids": np.array(ids), "mask": np.array(mask)})[0]

    def rate(groups):
        embed(groups[0])
        start, spent = time.perf_counter(), time.process_time()
        for texts in groups:
            embed(texts)
        return sum(map(len, groups)) / (time.process_time() - spent), (time.perf_counter() - start) / len(groups)

    texts = sentences()
    probe = embed(texts[TEXTS // 2 : TEXTS // 2 + 1])[0]
    print(f"embed_probe {probe[:8].sum():.6f}")
    for name, groups in (
        ("embed_b8", [texts[i : i + BATCH] for i in range(0, TEXTS, BATCH)]),
        ("embed_one", [[text] for text in texts[TEXTS // 2 :][:SINGLES]]),
    ):
        per_cpu_second, seconds = rate(groups)
        print(f"{name}_per_cpu_s {per_cpu_second:.4f}\n{name}_call_s {seconds:.6f}", flush=True)


main()
