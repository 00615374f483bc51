"""Shapes: what has one, what has not, and what is no shape."""

import pytest

from assistants.answering.masking import mask
from assistants.errors import InvalidRule
from assistants.rules.shapes import find_shape, holds_shape
from assistants.rules.specs import parse_rule

CASES = [
    ("order_number", "where is ab-120045 now", "ab-120045"),
    ("order_number", "订单XY-000001什么时候到", "XY-000001"),
    ("order_number", "1AB-120045", ""),
    ("order_number", "AB-1200456", ""),
    ("AB-######", "it is ab-777001.", "ab-777001"),
    ("AB-######", "it is XY-777001", ""),
    ("##########", "my number is 2025550143", "2025550143"),
    ("ORD ????##", "ord  abcd17", "ord  abcd17"),
    ("#.#", "version 3.4", "3.4"),
    ("#.#", "version 3x4", ""),
    ("e-mail", "I am ada.b+x@example.co.uk, hi", "ada.b+x@example.co.uk"),
    ("e-mail", "I am at example.com", ""),
    ("phone", "打 13812345678 找我", "13812345678"),
    ("phone", "+44 20 7946 0958 please", "+44 20 7946 0958"),
    ("phone", "order 123", ""),
]


@pytest.mark.parametrize(("shape", "text", "found"), CASES)
def test_a_shape_is_found_where_it_stands_alone(shape, text, found):
    assert find_shape(shape, text) == found
    assert holds_shape(shape, text) == bool(found)


@pytest.mark.parametrize(("shape", "text"), [("e-mail", "a@b.de"), ("phone", "13812345678")])
def test_what_was_masked_had_the_shape_but_can_be_read_no_more(shape, text):
    masked = f"mine: {mask(text)}"
    assert text not in masked
    assert holds_shape(shape, masked)
    assert find_shape(shape, masked) == ""


@pytest.mark.parametrize(
    "shape",
    ["", "##", "AB", "abc???", "(#+)+$", "#" * 41, " ###", "###  ###", "[0-9]###", "###\n#"],
)
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(InvalidRule, match="shape"):
        parse_rule("r", {"looks_like": shape}, {"do": "refuse"})
    asks = {"do": "ask_for", "shape": shape, "text": "Which?", "then": {"do": "refuse"}}
    with pytest.raises(InvalidRule, match="shape"):
        parse_rule("r", {"says_any": ["x"]}, asks)
