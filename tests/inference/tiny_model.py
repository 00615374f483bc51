"""A served model of a few hundred bytes that answers predictably: every word votes for a label."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from engine.artifact import Inputs, Manifest, Serving, Target, create_build_folder, publish

VOTE = 4.0  # The logit that one word adds to its label.


def write_artifact(folder: Path, labels: list[str], words: dict[str, str]) -> Path:
    """An artifact whose `words` each vote for a label; other words vote for none."""
    building = create_build_folder(folder)
    vocabulary = {"[UNK]": 0} | {word: number for number, word in enumerate(words, start=1)}
    votes = np.zeros((len(vocabulary), len(labels)), dtype=np.float32)
    for word, label in words.items():
        votes[vocabulary[word], labels.index(label)] = VOTE
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(building / "tokenizer.json"))
    onnx.save(_graph(votes), building / "model.onnx")
    manifest = Manifest(
        task="text-classification",
        base_model="tiny",
        labels=labels,
        inputs=Inputs(kind="text", columns=["text"], max_length=16),
        target=Target(kind="label", column="label"),
        serving=Serving(file="model.onnx"),
    )
    publish(building, folder, manifest)
    return folder


def _graph(votes: np.ndarray) -> onnx.ModelProto:
    """logits = sum over tokens of mask * votes[token]."""
    tokens = ["rows", "tokens"]
    nodes = [
        helper.make_node("Gather", ["votes", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide_mask"]),
        helper.make_node("Mul", ["each", "wide_mask"], ["real"]),
        helper.make_node("ReduceSum", ["real", "middle"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "votes",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, tokens)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", votes.shape[1]])],
        [
            numpy_helper.from_array(votes, "votes"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "middle"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
