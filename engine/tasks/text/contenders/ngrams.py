"""A linear model on TF-IDF of token n-grams, as an artifact that is served like any text model.

It needs seconds to fit and no pretrained weights, and beats a fine-tuned encoder where labels are
noisy, where the base model does not know the language, or where single words decide.
TF-IDF as in Salton & Buckley 1988: (1 + log tf) * idf, scaled to length 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix

from engine.export.onnx import OPSET, TEXT_INPUTS
from engine.prediction_heads import PredictionHead
from engine.prediction_heads.interface import Outputs, Rows

MAX_FEATURES = 50_000
MAX_WEIGHTS = 4_000_000  # Features times outputs: 16 MB as float32.
# Rows times outputs: with more the regularisation matters less and costs more to choose.
MAX_TUNED_COST = 50_000
DEFAULT_C, C_GRID = 10.0, (1.0, 3.0, 10.0, 30.0)
WEIGHTS_FILE = "ngrams.safetensors"
TokenIds = Sequence[int] | npt.NDArray[np.int32]
Keys = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NgramModel:
    """`keys` (features,) are the n-grams in rising order, each a number in base `vocabulary` + 1
    whose digits are token ids plus 1; `idf` (features,), `weights` (outputs, features), `bias`
    (outputs,)."""

    vocabulary: int
    keys: Keys
    idf: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @cached_property
    def ngrams(self) -> list[tuple[int, ...]]:
        """Token ids of every feature; shorter n-grams come first, for their keys are smaller."""
        return [_decode(int(key), self.vocabulary) for key in self.keys]

    def features(self, token_ids: Sequence[TokenIds]) -> csr_matrix:
        """TF-IDF (rows, features)."""
        counts = _count(token_ids, self.keys, self.vocabulary, len(self.ngrams[-1]))
        return _weigh(counts, self.idf)

    def outputs(self, token_ids: Sequence[TokenIds]) -> Outputs:
        """(rows, outputs), before any softmax or sigmoid."""
        outputs = self.features(token_ids) @ self.weights.T + self.bias
        return np.asarray(outputs, dtype=np.float32)

    def contributions(self, token_ids: TokenIds, output: int) -> list[float]:
        """What each token adds to an output: its part of every n-gram that it belongs to."""
        row = self.features([token_ids])
        added = dict(zip(row.indices, row.data * self.weights[output, row.indices], strict=True))
        column = {ngram: place for place, ngram in enumerate(self.ngrams)}
        ids = [int(token) for token in token_ids]
        found = [
            (start, length, column[ngram])
            for length in range(1, len(self.ngrams[-1]) + 1)
            for start in range(len(ids) - length + 1)
            if (ngram := tuple(ids[start : start + length])) in column
        ]
        occurrences = np.bincount([place for _, _, place in found], minlength=len(column))
        scores = [0.0] * len(ids)
        for start, length, place in found:
            for token in range(start, start + length):
                scores[token] += float(added[place] / occurrences[place] / length)
        return scores

    def save(self, folder: Path) -> None:
        tensors = {
            "vocabulary": np.array([self.vocabulary]), "keys": self.keys, "idf": self.idf,
            "weights": self.weights, "bias": self.bias,
        }  # fmt: skip
        save_file(tensors, folder / WEIGHTS_FILE)

    def write_onnx(self, path: Path) -> None:
        """The whole model, fed like an encoder: ids and mask (rows, tokens) to logits."""
        constants = {
            "idf": self.idf,
            "weights": np.ascontiguousarray(self.weights.T),
            "bias": self.bias,
            "one": np.float32(1),
            "zero": np.float32(0),
            "tiny": np.float32(1e-12),
        }
        graph = helper.make_graph(
            self._nodes(),
            "ngrams",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"])
                for name in TEXT_INPUTS
            ],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", len(self.bias)])],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))

    def _nodes(self) -> list[onnx.NodeProto]:
        make = helper.make_node
        return [
            make("TfIdfVectorizer", [TEXT_INPUTS[0]], ["counts"], **self._counted_ngrams()),
            make("Max", ["counts", "one"], ["at_least_one"]),
            make("Log", ["at_least_one"], ["log"]),
            make("Add", ["log", "one"], ["damped"]),
            make("Greater", ["counts", "zero"], ["present"]),
            make("Where", ["present", "damped", "zero"], ["term_frequency"]),
            make("Mul", ["term_frequency", "idf"], ["unscaled"]),
            make("ReduceL2", ["unscaled"], ["length"], axes=[1], keepdims=1),
            make("Max", ["length", "tiny"], ["divisor"]),
            make("Div", ["unscaled", "divisor"], ["features"]),
            make("MatMul", ["features", "weights"], ["products"]),
            make("Add", ["products", "bias"], ["logits"]),
        ]

    def _counted_ngrams(self) -> dict[str, object]:
        """Attributes of the operator that counts; its n-grams lie in the order of their length."""
        longest = len(self.ngrams[-1])
        sizes = [sum(len(ngram) == length for ngram in self.ngrams) * length
                 for length in range(1, longest + 1)]  # fmt: skip
        return {
            "mode": "TF",
            "min_gram_length": 1,
            "max_gram_length": longest,
            "max_skip_count": 0,
            "ngram_counts": [sum(sizes[:place]) for place in range(longest)],
            "ngram_indexes": list(range(len(self.ngrams))),
            "pool_int64s": [token for ngram in self.ngrams for token in ngram],
        }


def load_ngrams(folder: Path) -> NgramModel:
    tensors = load_file(folder / WEIGHTS_FILE)
    return NgramModel(
        vocabulary=int(tensors.pop("vocabulary")[0]),
        **{name: tensors[name] for name in ("keys", "idf", "weights", "bias")},
    )


def fit_ngrams(
    token_ids: Sequence[TokenIds],
    head: PredictionHead,
    train: Rows,
    validation: Rows,
    *,
    vocabulary: int,
    longest: int,
    special: Iterable[int],
    strength: float | None = None,
) -> tuple[NgramModel, float] | None:
    """The model and the inverse regularisation C: `strength`, else chosen by the validation rows
    where there are few rows. `token_ids` of all rows; None where the training rows have no n-gram
    to count."""
    train_ids = [token_ids[row] for row in train]
    limit = min(MAX_FEATURES, MAX_WEIGHTS // max(1, head.outputs))
    excluded = np.array(sorted({0, *special}))  # Padding is 0; special tokens are in every text.
    keys = _choose_keys(train_ids, vocabulary, longest, limit, excluded)
    if not len(keys):
        return None
    counts = _count(train_ids, keys, vocabulary, longest)
    document_frequency = np.bincount(counts.indices, minlength=len(keys))
    idf = (np.log((1 + len(train)) / (1 + document_frequency)) + 1).astype(np.float32)
    features = _weigh(counts, idf)
    held_out = _count([token_ids[row] for row in validation], keys, vocabulary, longest)
    held_out = _weigh(held_out, idf)
    is_few = len(train) * head.outputs <= MAX_TUNED_COST and len(validation) > 0
    is_tuned = is_few and strength is None
    fits = []
    for one in C_GRID if is_tuned else (strength or DEFAULT_C,):
        layer = head.fit_sparse(features, train, one)
        model = NgramModel(vocabulary, keys, idf, layer.weights, layer.bias)
        quality = head.quality(layer.outputs_of_sparse(held_out), validation) if is_tuned else 0.0
        fits.append((quality, -one, model))
    _, negative, model = max(fits, key=lambda fit: fit[:2])
    return model, -negative


def _choose_keys(
    token_ids: Sequence[TokenIds], vocabulary: int, longest: int, limit: int, excluded: Keys
) -> Keys:
    """The `limit` commonest n-grams without excluded tokens, shorter ones first among equals."""
    keys, _ = _list_ngrams(token_ids, vocabulary, longest, excluded)
    unique, counts = np.unique(keys, return_counts=True)
    return np.sort(unique[np.argsort(-counts, kind="stable")[:limit]])


def _count(token_ids: Sequence[TokenIds], keys: Keys, vocabulary: int, longest: int) -> csr_matrix:
    """How often each n-gram occurs: (rows, features)."""
    found, rows = _list_ngrams(token_ids, vocabulary, longest)
    columns = np.searchsorted(keys, found).clip(max=len(keys) - 1)
    known = keys[columns] == found
    ones = np.ones(int(known.sum()), dtype=np.float32)
    shape = (len(token_ids), len(keys))
    counts = csr_matrix((ones, (rows[known], columns[known])), shape=shape)
    counts.sum_duplicates()
    return counts


def _list_ngrams(
    token_ids: Sequence[TokenIds],
    vocabulary: int,
    longest: int,
    excluded: Keys | None = None,
) -> tuple[Keys, Rows]:
    """Key and row of every n-gram of up to `longest` tokens, none of them excluded."""
    lengths = [len(ids) for ids in token_ids]
    parts = [np.asarray(ids, dtype=np.int64) for ids in token_ids] or [np.zeros(0, np.int64)]
    tokens = np.concatenate(parts)
    row_of = np.repeat(np.arange(len(lengths)), lengths)
    allowed = np.ones(len(tokens), bool) if excluded is None else ~np.isin(tokens, excluded)
    keys, rows = [], []
    key, whole = np.zeros(len(tokens), dtype=np.int64), np.ones(len(tokens), dtype=bool)
    for length in range(1, min(longest, len(tokens)) + 1):
        count = len(tokens) - length + 1
        key = key[:count] * (vocabulary + 1) + tokens[length - 1 :] + 1
        whole = whole[:count] & allowed[length - 1 :] & (row_of[:count] == row_of[length - 1 :])
        keys.append(key[whole])
        rows.append(row_of[:count][whole])
    empty = np.zeros(0, dtype=np.int64)
    return np.concatenate([empty, *keys]), np.concatenate([empty, *rows])


def _decode(key: int, vocabulary: int) -> tuple[int, ...]:
    digits: list[int] = []
    while key:
        key, digit = divmod(key, vocabulary + 1)
        digits.append(digit - 1)
    return tuple(reversed(digits))


def _weigh(counts: csr_matrix, idf: npt.NDArray[np.float32]) -> csr_matrix:
    weighed = counts.copy()
    weighed.data = (1 + np.log(weighed.data)) * idf[weighed.indices]
    lengths = np.sqrt(np.asarray(weighed.multiply(weighed).sum(1)).ravel()).clip(1e-12)
    weighed.data = (weighed.data / np.repeat(lengths, np.diff(weighed.indptr))).astype(np.float32)
    return weighed
