"""Shapes that a question may hold, such as an order number: found, and read out of it.

A shape is one of the three that have a name, or is drawn: `#` is a digit, `?` a letter, all else is
itself, so that `AB-######` is found in "where is ab-120045". Nobody writes a regular expression.
"""

import re
from functools import lru_cache

from assistants.answering.masking import find_personal

ORDER_NUMBER, EMAIL, PHONE = "order_number", "e-mail", "phone"
DRAWN = {ORDER_NUMBER: "??-######"}
NAMED = (ORDER_NUMBER, EMAIL, PHONE)
MASKED = {EMAIL: ("e-mail",), PHONE: ("phone", "cn-mobile")}  # Kinds of masking's.
MIN_LENGTH, MAX_LENGTH = 3, 40
ALLOWED = re.compile(r"[\w#?./-]+(?: [\w#?./-]+)*")


def check_shape(shape: str) -> str:
    """The shape itself. Raises ValueError with a sentence for what is none."""
    if shape in NAMED:
        return shape
    is_drawn = ALLOWED.fullmatch(shape) and "#" in shape
    if not is_drawn or not MIN_LENGTH <= len(shape) <= MAX_LENGTH:
        raise ValueError(
            f"Name a shape ({', '.join(NAMED)}) or draw one of {MIN_LENGTH} to {MAX_LENGTH}"
            " characters: # is a digit, ? a letter, all else itself, such as AB-######."
        )
    return shape


def find_shape(shape: str, text: str) -> str:
    """The first part of the text that has the shape; empty without one. What was masked is none:
    nobody could read it."""
    if kinds := MASKED.get(shape):
        return next((part for kind, part in find_personal(text) if kind in kinds), "")
    match = _compile(DRAWN.get(shape, shape)).search(text)
    return match[0] if match else ""


def holds_shape(shape: str, text: str) -> bool:
    """Whether the text has it, or had it before it was masked."""
    masks = (f"<{kind}>" for kind in MASKED.get(shape, ()))
    return any(mask in text for mask in masks) or bool(find_shape(shape, text))


@lru_cache(maxsize=256)
def _compile(drawn: str) -> re.Pattern[str]:
    parts = {"#": r"\d", "?": r"[^\W\d_]", " ": r"\s+"}
    pattern = "".join(parts.get(letter, re.escape(letter)) for letter in drawn)
    # Chinese stands beside a number without a space.
    return re.compile(rf"(?<![0-9A-Za-z]){pattern}(?![0-9A-Za-z])", re.IGNORECASE)
