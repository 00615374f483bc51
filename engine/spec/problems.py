"""What pydantic finds wrong with a value, in sentences for people.

Pydantic writes for programmers ("String should have at most 5 characters", "Input should be a
valid integer"). None of its wordings reaches a person: not in a form, nor in an answer of the API.
"""

from typing import Any

from pydantic_core import ErrorDetails

NOT_ACCEPTED = "This value is not accepted here."
SENTENCES = {
    "missing": "It is required.",
    "extra_forbidden": "Nothing of this name can be set here.",
    "string_too_long": "It must have at most {max_length} characters.",
    "string_too_short": "It must have at least {min_length} characters.",
    "string_pattern_mismatch": "It must match the pattern {pattern}.",
    "too_long": "It must have at most {max_length} entries.",
    "too_short": "It must have at least {min_length} entries.",
    "greater_than": "It must be more than {gt}.",
    "greater_than_equal": "It must be {ge} or more.",
    "less_than": "It must be less than {lt}.",
    "less_than_equal": "It must be {le} or less.",
    "literal_error": "It must be one of: {expected}.",
    "union_tag_invalid": "Its {discriminator} must be one of: {expected_tags}.",
    "union_tag_not_found": "Its {discriminator} is required.",
    "finite_number": "It must be a number.",
}
KINDS = {  # By how pydantic's type begins: "int_type", "int_parsing", "int_from_float".
    "int": "It must be a whole number.",
    "float": "It must be a number.",
    "bool": "It must be true or false.",
    "string": "It must be a text.",
    "list": "It must be a list.",
    "tuple": "It must be a list.",
    "dict": "It must be an object with named values.",
    "model": "It must be an object with named values.",
}


def problem_sentence(problem: ErrorDetails) -> str:
    """The problem without its field. A validator of ours has said it in its own words."""
    context = problem.get("ctx", {})
    kind = problem["type"]
    if kind == "value_error":
        return str(context["error"])
    if kind in ("string_too_short", "too_short") and context["min_length"] == 1:
        return "It must not be empty."
    sentence = SENTENCES.get(kind) or KINDS.get(kind.partition("_")[0], NOT_ACCEPTED)
    return sentence.format_map({name: _plain(value) for name, value in context.items()})


def _plain(value: Any) -> str:
    """1.0 as "1", and "'a', 'b' or 'c'" as "a, b, c"."""
    if isinstance(value, int | float):
        return f"{int(value) if value == int(value) else value:,}"
    return str(value).replace("' or '", "', '").replace("'", "")
