"""Answers depend on nothing but the question: not on what others ask at the same moment."""

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from engine.serving import load_model
from engine.serving.embeddings import open_embedder
from engine.serving.text import TextModel, compute_all_outputs
from inference.serving.dynamic_batching import DynamicBatcher
from tests.inference.tiny_encoder import WORDS, write_encoder

TEXTS, TOLERANCE = 500, 1e-5


@pytest.fixture(params=[True, False], ids=["int8", "float32"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "model", int8=request.param)


@pytest.fixture
def model(folder: Path) -> TextModel:
    return load_model(folder)


@pytest.fixture
def texts() -> list[str]:
    generator = random.Random(1)
    return [
        " ".join(f"w{generator.randrange(1, WORDS)}" for _ in range(generator.randrange(2, 50)))
        for _ in range(TEXTS)
    ]


def test_a_text_has_one_answer_alone_among_like_and_unlike_ones_and_under_load(model, texts):
    encoded = model.encode(texts)
    alone = np.concatenate([model.outputs([ids]) for ids in encoded])
    like = compute_all_outputs(model, encoded)  # Sorted by length.
    order = random.Random(2).sample(range(TEXTS), TEXTS)
    unlike = np.zeros_like(alone)
    for start in range(0, TEXTS, 25):
        rows = order[start : start + 25]
        unlike[rows] = model.outputs([encoded[row] for row in rows])

    async def all_at_once() -> np.ndarray:
        batcher = DynamicBatcher(2)
        asked = [batcher.predict("m", model.outputs, [ids]) for ids in encoded]
        answers = [rows[0] for rows in await asyncio.gather(*asked)]
        batcher.close()
        return np.stack(answers)

    under_load = asyncio.run(all_at_once())
    for others in (like, unlike, under_load):
        np.testing.assert_allclose(others, alone, rtol=0, atol=TOLERANCE * np.abs(alone).max())


def test_one_scale_for_a_whole_batch_would_have_failed(tmp_path, texts):
    """What the test above would find in an int8 file that computed its rows together."""
    model = load_model(write_encoder(tmp_path / "model", int8=True))
    encoded = model.encode(texts[:50])
    alone = model.outputs(encoded)
    model._runs_row_by_row = False
    assert np.abs(model.outputs(encoded) - alone).max() > 100 * TOLERANCE


def test_embeddings_are_what_the_last_layer_reads_and_have_no_neighbours(folder, model, texts):
    embedder = open_embedder(folder)
    encoded = embedder.encode(texts)
    together = embedder.outputs(encoded)
    alone = np.concatenate([embedder.outputs([ids]) for ids in encoded])
    assert together.shape == (TEXTS, 32)
    np.testing.assert_array_equal(together, alone)
    lengths = np.linalg.norm(together, axis=1)
    has_words = lengths > 0  # int8 keeps nothing of words whose vectors are very short.
    assert has_words.mean() > 0.98
    np.testing.assert_allclose(lengths[has_words], 1, atol=1e-5)
    # Texts of equal direction get equal labels: the head is linear and has no bias.
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(folder / "model.onnx")).graph
    (head,) = [numpy_helper.to_array(one) for one in graph.initializer if one.name == "head"]
    exact = compute_all_outputs(model, encoded).argmax(1)
    assert ((together @ head).argmax(1) == exact).mean() > 0.95
