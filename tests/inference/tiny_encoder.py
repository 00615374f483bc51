"""A served text classifier of a few thousand bytes with an encoder, also in int8."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from engine.artifact import Inputs, Manifest, Serving, Target, create_build_folder, publish
from engine.export.onnx import quantize_to_int8

WIDTH, LABELS, WORDS = 32, ["a", "b", "c"], 400


def write_encoder(folder: Path, *, int8: bool) -> Path:
    """An artifact: word vectors, their mean, a layer of 32 units, and a linear layer on top."""
    building = create_build_folder(folder)
    vocabulary = {"[UNK]": 0} | {f"w{number}": number for number in range(1, WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(building / "tokenizer.json"))
    onnx.save(_graph(), building / "model.onnx")
    file = "model.onnx"
    if int8:
        quantize_to_int8(building / "model.onnx", building / "model.int8.onnx")
        file = "model.int8.onnx"
    manifest = Manifest(
        task="text-classification",
        base_model="tiny",
        labels=LABELS,
        inputs=Inputs(kind="text", columns=["text"], max_length=64),
        target=Target(kind="label", column="label"),
        serving=Serving(file=file),
    )
    publish(building, folder, manifest)
    return folder


def _graph() -> onnx.ModelProto:
    generator = np.random.default_rng(0)
    # Words of very different length, as real activations are: one scale for all loses much.
    sizes = np.exp(generator.normal(0, 1.5, size=(WORDS, 1)))
    words = (generator.normal(size=(WORDS, WIDTH)) * sizes).astype(np.float32)
    inner = generator.normal(size=(WIDTH, WIDTH)).astype(np.float32)
    head = generator.normal(size=(WIDTH, len(LABELS))).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide_mask"]),
        helper.make_node("MatMul", ["each", "inner"], ["states"]),
        helper.make_node("Mul", ["states", "wide_mask"], ["real"]),
        helper.make_node("ReduceSum", ["real", "middle"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["wide_mask", "middle"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "head"], ["logits"]),
    ]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    constants = {
        "words": words,
        "inner": inner,
        "head": head,
        "last": np.array([2]),
        "middle": np.array([1]),
    }
    graph = helper.make_graph(
        nodes,
        "encoder",
        shapes,
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", len(LABELS)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
