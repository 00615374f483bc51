"""Answers that follow a JSON Schema: which tokens may come next, by the library llguidance."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from engine.errors import BadTrainingData


class Constraint:
    """The state of one answer within its grammar."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher, self._vocabulary = matcher, vocabulary
        self._bits = np.zeros((vocabulary + 31) // 32, dtype=np.int32)

    def mask(self, logits: Tensor) -> Tensor:
        """Logits (rows, vocabulary) with minus infinity for tokens that may not come next."""
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        allowed = np.unpackbits(self._bits.view(np.uint8), bitorder="little")[: self._vocabulary]
        keep = torch.from_numpy(allowed.astype(bool)).to(logits.device)
        return logits.masked_fill(~keep, -torch.inf)

    def add(self, token: int) -> None:
        self._matcher.consume_token(token)

    @property
    def is_over(self) -> bool:
        """Whether nothing can follow."""
        return bool(self._matcher.is_stopped())


class ConstraintFactory:
    """Makes constraints for one tokenizer, which is read once."""

    def __init__(self, tokenizer: Any, vocabulary: int, stops: Sequence[int]) -> None:
        text = tokenizer.backend_tokenizer.to_str()
        self._tokenizer = LLTokenizer(
            text, n_vocab=vocabulary, eos_token=list(stops), slices=LLTokenizer.json_slices()
        )
        self._vocabulary = vocabulary

    def create(self, schema: Mapping[str, Any] | bool) -> Constraint:
        """Raises BadTrainingData for a schema that cannot be followed."""
        try:
            grammar = LLMatcher.grammar_from_json_schema(
                json.dumps(schema), defaults={"whitespace_pattern": r"[ \n]{0,1}"}
            )
        except ValueError as problem:
            raise _refusal(str(problem)) from problem
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise _refusal(matcher.get_error())
        return Constraint(matcher, self._vocabulary)


def _refusal(problem: str) -> BadTrainingData:
    return BadTrainingData("bad_schema", f"This JSON schema cannot be followed: {problem[:300]}.")
