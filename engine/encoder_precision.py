"""In which arithmetic a base model embeds texts, and how its name says so."""

from typing import Literal

EncoderPrecision = Literal["float32", "int8"]


def name_at_precision(encoder: str, precision: EncoderPrecision) -> str:
    """How /v1/embeddings is asked for a base encoder of this precision."""
    return encoder if precision == "float32" else f"{encoder}@{precision}"


def split_precision(name: str) -> tuple[str, EncoderPrecision]:
    """The reverse of `name_at_precision`."""
    encoder = name.removesuffix("@int8")
    return encoder, "float32" if encoder == name else "int8"
