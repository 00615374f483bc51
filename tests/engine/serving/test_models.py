"""Served models with a file that is computed by hand: encoding, batches, units and refusals."""

import io

import numpy as np
import pytest
from PIL import Image

from engine import serving
from engine.artifact import Feature, Inputs, Manifest, Serving, Target
from engine.errors import BadTrainingData, BrokenArtifact
from engine.serving import images as image_serving
from engine.serving import tabular as tabular_serving
from engine.serving import text as text_serving
from engine.spec import SPEC_CLASSES
from engine.spec.exporting import FORMATS_BY_TASK
from engine.tasks import EXPORT_MODULES, TASK_MODULES, load_task

LABELS = ["a", "b"]


class FakeSession:
    """Computes outputs by a function of the feed, and keeps every feed."""

    def __init__(self, compute):
        self.compute, self.feeds = compute, []

    def run(self, _outputs, feed):
        self.feeds.append(feed)
        return [self.compute(feed)]


def manifest(kind, *, target="label", labels=LABELS, inputs=None, serving_inputs=("x",), **more):
    return Manifest(
        task=more.pop("task", "text-classification"),
        base_model="m",
        labels=labels,
        inputs=inputs or Inputs(kind=kind, max_length=6),
        target=Target(kind=target, **more),
        serving=Serving(file="model.onnx", inputs=list(serving_inputs), output="logits"),
    )


@pytest.fixture
def tokenizer_folder(tmp_path):
    """A tokenizer of single letters: a is 1, b is 2, …, between 27 and 28."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {"[UNK]": 0} | {chr(96 + n): n for n in range(1, 27)} | {"[B]": 27, "[E]": 28}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[B] $A [E]", special_tokens=[("[B]", 27), ("[E]", 28)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.fixture
def text_model(tokenizer_folder, monkeypatch):
    """Makes a text model whose first logit is the sum of a text's ids, padding left out."""

    def make(target="label", **more):
        def compute(feed):
            total = (feed["ids"] * feed["mask"]).sum(axis=1, keepdims=True).astype(np.float32)
            return total if target == "number" else np.concatenate([total, 60 - total], axis=1)

        session = FakeSession(compute)
        monkeypatch.setattr(text_serving, "open_session", lambda *_: session)
        labels = [] if target == "number" else LABELS
        about = manifest(
            "text", target=target, labels=labels, serving_inputs=("ids", "mask"), **more
        )
        return text_serving.open_model(tokenizer_folder, 1, about), session

    return make


def test_texts_are_stripped_cut_to_the_longest_input_and_counted(text_model):
    model, _ = text_model()
    encoded = model.encode(["  ab ", "abcdefghij", ""])
    assert encoded == [[27, 1, 2, 28], [27, 1, 2, 3, 4, 28], [27, 28]]
    assert model.token_counts(encoded) == [4, 6, 2]


def test_a_batch_is_padded_on_the_right_and_masked(text_model):
    model, session = text_model()
    model.outputs([[27, 1, 28], [27, 28]])
    (feed,) = session.feeds
    assert feed["ids"].tolist() == [[27, 1, 28], [27, 28, 0]]
    assert feed["mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert feed["ids"].dtype == np.int64


def test_no_rows_are_no_rows_and_ask_the_file_nothing(text_model):
    model, session = text_model()
    assert model.outputs([]).shape == (0, 2)
    assert model.answer([]) == []
    assert session.feeds == []


def test_answers_keep_the_order_of_texts_however_they_are_batched(text_model):
    model, session = text_model()
    letters = [chr(97 + n % 26) * (n % 4) for n in range(700)]
    answers = model.answer(letters)
    assert len(session.feeds) > 1
    for text, answer in list(zip(letters, answers, strict=True))[::37]:
        total = 55 + sum(ord(letter) - 96 for letter in text)
        assert answer["label"] == ("a" if total >= 30 else "b")
        assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_several_labels_use_the_thresholds_of_training_or_one_half(text_model):
    model, _ = text_model("labels")
    (answer,) = model.answer(["ab"])  # Logits 58 and 2: both above one half.
    assert answer["labels"] == ["a", "b"]
    strict, _ = text_model("labels", thresholds=[0.5, 0.95])
    (answer,) = strict.answer(["ab"])
    assert answer["labels"] == ["a"]
    assert answer["probabilities"]["b"] == pytest.approx(1 / (1 + np.exp(-2)), rel=1e-5)


def test_a_number_comes_back_in_the_unit_of_the_training_data(text_model):
    model, _ = text_model("number", mean=100.0, deviation=2.0)
    assert model.answer(["a", "b"]) == [{"value": 212.0}, {"value": 214.0}]


def png(value, side=8):
    sink = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), value, dtype=np.uint8)).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def image_model(tmp_path, monkeypatch):
    """Its logits are the mean brightness, and one half."""

    def compute(feed):
        mean = feed["pixels"].mean(axis=(1, 2, 3))[:, None]
        return np.concatenate([mean, np.full_like(mean, 0.5)], axis=1)

    session = FakeSession(compute)
    monkeypatch.setattr(image_serving, "open_session", lambda *_: session)
    inputs = Inputs(kind="image", preprocessing={"side": 32})
    about = manifest("image", inputs=inputs, serving_inputs=("pixels",))
    return image_serving.ImageClassifier(tmp_path, 1, about), session


def test_images_are_answered_by_label_and_metered_by_patches(image_model):
    model, _ = image_model
    bright, dark = model.answer([png(255), png(0)])
    assert (bright["label"], dark["label"]) == ("a", "b")
    assert model.token_counts(model.encode([png(0)])) == [4]  # Of 16 by 16 pixels.


def test_the_image_that_cannot_be_read_is_named(image_model):
    model, session = image_model
    with pytest.raises(BadTrainingData, match="Picture 3 cannot be looked at: it is empty") as bad:
        model.answer([png(0), png(1), b""])
    assert bad.value.detail == "bad_picture"
    assert session.feeds == []


def test_bytes_and_shares_of_white_are_the_same_input(image_model):
    model, _ = image_model
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    assert np.allclose(model.outputs(pixels), model.outputs(pixels / 255), atol=1e-6)
    assert model.outputs(pixels[:0]).shape == (0, 2)


def test_many_images_are_asked_a_few_at_a_time(image_model):
    model, session = image_model
    pixels = np.arange(70, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    outputs = model.outputs(pixels)
    assert [len(feed["pixels"]) for feed in session.feeds] == [32, 32, 6]
    assert outputs[:, 0] == pytest.approx(np.arange(70) / 255, abs=1e-6)


@pytest.fixture
def table_model(tmp_path, monkeypatch):
    def make(target="number", **more):
        width = 1 if target == "number" else 2
        session = FakeSession(lambda feed: np.repeat(feed["x"], width, axis=1) * [1, -1][:width])
        monkeypatch.setattr(tabular_serving, "open_session", lambda *_: session)
        feature = Feature(name="size", kind="number", middle=10.0, scale=2.0)
        inputs = Inputs(kind="features", columns=["size"], features=[feature])
        about = manifest("features", target=target, inputs=inputs, **more)
        return tabular_serving.TabularModel(tmp_path, 1, about)

    return make


def test_a_table_answers_in_the_targets_unit(table_model):
    model = table_model(mean=100.0, deviation=5.0)
    answers = model.answer([{"size": 12}, {"size": "8"}, {}])
    assert answers == [{"value": 105.0}, {"value": 95.0}, {"value": 100.0}]
    assert model.token_counts(model.encode([{"size": 1}, {}])) == [1, 1]


def test_a_table_of_labels_answers_with_probabilities(table_model):
    (answer,) = table_model("label").answer([{"size": 14}])
    assert answer["label"] == "a"
    assert answer["probability"] == pytest.approx(1 / (1 + np.exp(-4)))


def test_a_feature_nobody_knows_is_refused_with_those_there_are(table_model):
    with pytest.raises(BadTrainingData, match="no feature 'sise'. It reads: size."):
        table_model().answer([{"sise": 3}])


def test_a_task_of_a_later_version_cannot_be_served_or_trained(tmp_path):
    later = manifest("text", task="video-classification")
    with pytest.raises(BrokenArtifact, match="cannot serve models for video-classification"):
        serving.load_model(tmp_path, manifest=later)
    with pytest.raises(BadTrainingData, match="has no task 'video-classification'"):
        load_task("video-classification")
    with pytest.raises(BadTrainingData, match="cannot export models of the task"):
        load_task("video-classification", is_export=True)


def test_every_task_can_be_specified_trained_served_and_exported():
    tasks = set(SPEC_CLASSES)
    assert tasks == set(TASK_MODULES) == set(EXPORT_MODULES)
    assert tasks == set(serving.MODEL_CLASSES) == set(FORMATS_BY_TASK)
