"""What an exported form costs and gains, and when it is refused."""

import numpy as np
import pytest

from engine import metrics
from engine.errors import ExportRefused
from engine.export import variant_comparison
from engine.export.variant_comparison import ModelVariant, compare_variants
from engine.spec import ExportSpec

ROWS = 100
TRUE = np.arange(ROWS) % 2


def labels(right: int):
    predicted = np.where(np.arange(ROWS) < right, TRUE, 1 - TRUE)
    return metrics.make_multiclass_predictions(TRUE, np.eye(2)[predicted] * 0.8 + 0.1)


def variant(predictions, *, size=1000, seconds=0.001, name="made") -> ModelVariant:
    outputs = np.asarray(getattr(predictions, "probabilities", np.zeros((ROWS, 1))))
    side = ModelVariant(name, size, 10, predictions, outputs, lambda _row: None)
    SECONDS[id(predictions)] = seconds
    return side


SECONDS: dict[int, float] = {}


@pytest.fixture(autouse=True)
def _latencies(monkeypatch):
    """Latencies as the variants were given them: nothing is timed."""
    monkeypatch.setattr(
        variant_comparison,
        "_measure_latencies",
        lambda source, made: tuple(SECONDS[id(side.predictions)] for side in (source, made)),
    )


def export(tmp_path, form="pruned", largest_loss=0.02) -> ExportSpec:
    return ExportSpec(source=tmp_path, format=form, largest_loss=largest_loss, keep=0.5)


def test_sizes_speeds_and_agreement_are_compared(tmp_path):
    source = variant(labels(90), size=4000, seconds=0.004, name="original")
    made = variant(labels(89), size=1000, seconds=0.001, name="pruned")
    card = compare_variants(export(tmp_path), source, made)
    assert (card["times_smaller"], card["times_quicker"]) == (4.0, pytest.approx(4.0))
    assert card["agreement"] == 0.99
    assert card["loss"] == pytest.approx(0.01)
    assert (card["metric"], card["rows"]) == ("accuracy", ROWS)
    assert card["source"]["quality"] == 0.9
    assert card["made"]["milliseconds"] == 1.0
    assert card["sentence"] == (
        "4.0× smaller and 4.0× quicker; 1.0% worse on 100 test rows (accuracy)."
    )


def test_a_form_that_loses_more_than_allowed_is_refused(tmp_path):
    with pytest.raises(ExportRefused, match=r"worse by 30\.0% on the test rows; at most 2\.0%"):
        compare_variants(export(tmp_path), variant(labels(90)), variant(labels(60), size=10))


def test_a_form_neither_smaller_nor_quicker_is_refused(tmp_path):
    with pytest.raises(ExportRefused, match="neither smaller nor quicker"):
        compare_variants(export(tmp_path), variant(labels(90)), variant(labels(90)))


def test_a_mere_file_need_not_be_smaller(tmp_path):
    card = compare_variants(export(tmp_path, "onnx"), variant(labels(90)), variant(labels(90)))
    assert card["sentence"] == "As large and as quick; as good on 100 test rows (accuracy)."


def test_an_error_that_grows_is_a_loss_by_its_share(tmp_path):
    true = np.linspace(0, 10, ROWS)
    wave = np.where(np.arange(ROWS) % 2, 1.0, -1.0)
    source = variant(metrics.make_regression_predictions(true, true + wave), size=2000)
    made = variant(metrics.make_regression_predictions(true, true + 1.05 * wave))
    card = compare_variants(export(tmp_path, largest_loss=0.1), source, made)
    assert card["loss"] == pytest.approx(0.05)
    assert card["agreement"] is None
    with pytest.raises(ExportRefused, match=r"worse by 5\.0%"):
        compare_variants(export(tmp_path), source, made)


def test_a_better_form_is_said_to_be_better(tmp_path):
    card = compare_variants(export(tmp_path), variant(labels(80), size=2000), variant(labels(85)))
    assert "5.0% better" in card["sentence"]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(2.0, "2.0× more"), (0.5, "2.0× less"), (1.04, "the same"), (0.96, "the same")],
)
def test_ratios_are_read_in_the_direction_they_point(ratio, text):
    assert variant_comparison._format_ratio(ratio, "more", "less", "the same") == text
