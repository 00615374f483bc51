"""What web processes may import, what the catalog offers, what events look like."""

import subprocess
import sys
from typing import get_origin

import pytest
from pydantic import ValidationError

from engine import catalog
from engine.errors import BaseModelUnavailable
from engine.estimate import DatasetStats, estimate
from engine.events import Message, Metric, Progress, Reporter, parse_event
from engine.spec import SPEC_CLASSES, error_field, hyperparameters_class, parse_spec
from engine.tasks.text.base_models import load_encoder, load_tokenizer, locate_base_model
from inference.demo_data import COLUMNS, generate_tickets
from tests.engine.conftest import ROOT

LIGHT = [
    "engine",
    "engine.spec",
    "engine.catalog",
    "engine.events",
    "engine.artifact",
    "engine.estimate",
    "engine.serving",
    "engine.errors",
    "engine.tasks",
    "inference.demo_data",
]
# These need numpy or pyarrow.
TORCH_FREE = [
    "engine.evaluation.schema",
    "engine.serving.answers",
    "engine.serving.images",
    "engine.serving.tabular",
    "engine.serving.text",
    "engine.tasks.generation.chats",
    "engine.tasks.generation.sampling",
    "engine.tasks.image.data.decoding",
    "engine.tasks.image.data.parquet_images",
    "engine.tasks.tabular.encoder",
]
HEAVY = "{'torch', 'transformers', 'sklearn', 'numpy', 'onnxruntime'}"


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [(LIGHT, HEAVY), (TORCH_FREE, "{'torch', 'transformers', 'sklearn'}")],
    ids=["light", "torch-free"],
)
def test_light_modules_load_no_heavy_library(modules, heavy):
    code = f"import sys, {', '.join(modules)}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_hub_like_local_folder_is_found_by_owner_and_name(models_folder, monkeypatch, tmp_path):
    reference = catalog.get_base_model("ModernBERT-base").source.reference
    (tmp_path / reference).parent.mkdir()
    (tmp_path / reference).symlink_to(models_folder / "all-MiniLM-L6-v2")
    monkeypatch.setenv("LATHE_MODELS_DIR", str(tmp_path))
    folder = locate_base_model(catalog.get_base_model("ModernBERT-base"))
    assert load_encoder(folder).config.hidden_size == 32
    assert load_tokenizer(folder).encode("apple").ids[0] == 2


def test_a_model_that_cannot_be_fetched_says_what_to_do(monkeypatch):
    import huggingface_hub

    def unreachable(*_arguments, local_files_only=False, **_options):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(BaseModelUnavailable, match="needs no download") as refusal:
        locate_base_model(catalog.get_base_model("ModernBERT-base"))
    assert refusal.value.code == "base_model_unavailable"


def test_a_folder_without_safetensors_is_refused(tmp_path, models_folder):
    config = (models_folder / "all-MiniLM-L6-v2" / "config.json").read_text()
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(BaseModelUnavailable, match="safetensors"):
        load_encoder(tmp_path)


def test_events_survive_the_pipe():
    lines: list[str] = []
    report = Reporter(lines.append)
    events = [
        Metric(name="train_loss", step=1, epoch=1, value=0.5),
        Message(level="info", text="ä"),
    ]
    for event in events:
        report(event)
    assert [parse_event(line) for line in lines] == events


def test_progress_is_thinned_but_the_last_always_arrives():
    lines: list[str] = []
    report = Reporter(lines.append)
    for fraction in (0.1, 0.2, 0.3, 1.0):
        report(
            Progress(step=1, total_steps=2, epoch=1, epochs=1, fraction=fraction, eta_seconds=None)
        )
    assert [parse_event(line).fraction for line in lines] == [0.1, 1.0]


@pytest.mark.parametrize("line", ["", "not json", '{"event":"unknown"}', '{"event":"phase"}'])
def test_a_line_that_is_no_event_raises_value_error(line):
    with pytest.raises(ValueError, match="validation error"):
        parse_event(line)


def test_the_sample_tickets_are_hard_for_words_alone():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    rows = generate_tickets(3000, seed=0)
    assert rows == generate_tickets(3000, seed=0)
    texts = [f"{row[COLUMNS.index('subject')]} {row[COLUMNS.index('message')]}" for row in rows]
    queues = [row[COLUMNS.index("queue")] for row in rows]
    words = TfidfVectorizer(sublinear_tf=True).fit(texts[:2500])
    model = LogisticRegression(C=10, max_iter=60).fit(words.transform(texts[:2500]), queues[:2500])
    assert 0.70 < model.score(words.transform(texts[2500:]), queues[2500:]) < 0.86


def expected(rows, **hyperparameters):
    spec = {"data": "d", "text_columns": ["text"], "target_column": "label", "output": "o"}
    facts = {"text": {"mean_length": 60}, "label": {"unique": 10}}
    return estimate(
        parse_spec(spec | {"work": "w", "hyperparameters": hyperparameters}),
        DatasetStats(rows=rows, columns=facts),
    )


def test_estimates_grow_with_rows_and_refuse_what_does_not_fit():
    small, large = expected(1000), expected(50_000)
    assert small.fits
    assert small.seconds_low < small.seconds_high < large.seconds_high
    huge = expected(1000, batch_tokens=131_072, max_length=8192)
    assert not huge.fits
    assert "does not fit" in huge.sentence
    probe = expected(50_000, method="probe")
    assert probe.seconds_high < large.seconds_high / 2


@pytest.mark.parametrize("task", SPEC_CLASSES)
def test_every_dial_of_every_task_has_words_and_bounds(task):
    for name, field in hyperparameters_class(task).model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.metadata or field.annotation is bool or get_origin(field.annotation), name


def test_a_wrong_value_is_refused_with_its_field_named():
    with pytest.raises(ValidationError) as refusal:
        expected(10, dropout=2)
    assert error_field(refusal.value.errors()[0]["loc"]) == "hyperparameters.dropout"


def test_a_table_of_many_categories_is_expected_to_take_longer_than_one_of_numbers():
    """And both about what was measured: 34 seconds for adult census, 14 for white wines."""
    told = {"task": "tabular-classification", "target_column": "y", "data": "d", "output": "o"}
    spec = parse_spec(told | {"work": "w"})
    numbers = {f"n{place}": {"unique": 900} for place in range(6)} | {"y": {"unique": 2}}
    texts = {f"t{place}": {"unique": 12, "mean_length": 8.0} for place in range(8)}
    plain, mixed = (
        estimate(spec, DatasetStats(rows=6000, columns=columns)).seconds
        for columns in (numbers, numbers | texts)
    )
    assert 10 < plain < 20
    assert 25 < mixed < 45
