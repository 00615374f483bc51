"""Base models as encoders: int8 is close to float32, alone or in company, or float32 answers."""

import numpy as np
import pytest

from engine.serving import base_encoders
from engine.serving.base_encoders import open_base_embedder
from engine.serving.packed import library

ENCODER = "all-MiniLM-L6-v2"
TEXTS = [f"Where is parcel {number}? " * (1 + number % 60) for number in range(120)]
needs_kernel = pytest.mark.skipif(
    library.load_kernel() is None, reason="no AVX2 or no C compiler here"
)


def embed(embedder, texts):
    return embedder.outputs(embedder.encode(texts, cut=True))


@pytest.fixture(scope="module")
def float32():
    return open_base_embedder(ENCODER)


@needs_kernel
def test_int8_is_close_to_float32_and_depends_on_nothing_but_the_text(float32):
    int8 = open_base_embedder(ENCODER, precision="int8")
    assert int8.weights_bytes < 45_000_000  # Float32 takes 90.
    together = embed(int8, TEXTS)  # More tokens than the kernel is given at once.
    alone = np.concatenate([embed(int8, [text]) for text in TEXTS])
    assert (together == alone).all()
    similarities = (together * embed(float32, TEXTS)).sum(axis=1)
    assert 0.99 < similarities.min() < 0.99999  # Not float32 under another name.


def test_float32_answers_where_the_kernel_cannot_run(float32, monkeypatch):
    monkeypatch.setattr("engine.serving.packed.encoder.load_kernel", lambda: None)
    fallback = open_base_embedder(ENCODER, precision="int8")
    assert (embed(fallback, TEXTS[:3]) == embed(float32, TEXTS[:3])).all()


@needs_kernel
def test_float32_answers_where_int8_strays(float32, monkeypatch, caplog):
    monkeypatch.setattr(base_encoders, "MIN_COSINE_SIMILARITY", 1.1)
    strayed = open_base_embedder(ENCODER, precision="int8")
    assert "strays in int8" in caplog.text
    assert (embed(strayed, TEXTS[:3]) == embed(float32, TEXTS[:3])).all()
