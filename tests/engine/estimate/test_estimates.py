"""Estimates: what they grow with, what they leave out, and the formulas by hand."""

from math import log2

import pytest

from engine import catalog
from engine.estimate import DatasetStats, _format_duration, estimate, generation, image, tabular
from engine.spec import (
    GenerationHyperparameters,
    ImageHyperparameters,
    TabularHyperparameters,
    parse_spec,
)

NOWHERE = {"data": "d", "output": "o", "work": "w"}
TASKS = {
    "text-classification": {"text_columns": ["x"], "target_column": "y"},
    "text-regression": {"text_columns": ["x"], "target_column": "y"},
    "tabular-classification": {"target_column": "y"},
    "tabular-regression": {"target_column": "y"},
    "image-classification": {"image_column": "x", "target_column": "y"},
    "text-generation": {"prompt_columns": ["x"], "completion_column": "y"},
}
COLUMNS = {"x": {"mean_length": 80.0, "unique": 900}, "y": {"unique": 4, "mean_length": 9.0}}


def spec_of(task, **changes):
    return parse_spec(NOWHERE | {"task": task} | TASKS[task] | changes)


def estimated(task, rows=1000, columns=COLUMNS, device="cpu", **changes):
    stats = DatasetStats(rows=rows, columns=columns)
    return estimate(spec_of(task, **changes), stats, device=device)


@pytest.mark.parametrize("task", TASKS)
def test_more_rows_take_longer_and_more_memory(task):
    # Few epochs: automatic ones fall as rows grow.
    few, many = (estimated(task, rows, hyperparameters={"epochs": 5}) for rows in (1_000, 19_000))
    assert few.seconds < many.seconds
    assert few.memory_bytes < many.memory_bytes
    assert few.seconds_low < few.seconds < few.seconds_high


@pytest.mark.parametrize("task", TASKS)
def test_columns_the_profile_says_nothing_of_are_no_error(task):
    assert estimated(task, columns={}).seconds > 0
    unknown = {"x": {"mean_length": None, "unique": None}, "y": {}}
    assert estimated(task, columns=unknown).seconds > 0


@pytest.mark.parametrize("task", ["text-classification", "image-classification", "text-generation"])
def test_a_gpu_is_quicker_than_a_processor(task):
    assert estimated(task, 20_000, device="cuda").seconds < estimated(task, 20_000).seconds


def test_what_does_not_fit_says_so_with_advice_and_what_fits_its_range():
    spec, stats = spec_of("tabular-regression"), DatasetStats(rows=100, columns=COLUMNS)
    small = estimate(spec, stats, memory_limit_bytes=2**20)
    assert not small.fits
    assert small.sentence.startswith("This does not fit: it needs about 0.9 GiB of 0 GiB memory.")
    assert small.sentence.endswith("Choose fewer columns or draw a sample of the rows.")
    large = estimate(spec, stats, memory_limit_bytes=2**33)
    assert large.fits
    assert "of 8 GiB memory" in large.sentence


def test_what_past_jobs_took_replaces_the_usual_spread():
    spec, stats = spec_of("text-regression"), DatasetStats(rows=100, columns=COLUMNS)
    usual, known = estimate(spec, stats), estimate(spec, stats, slowness=(0.9, 1.1))
    assert known.seconds == usual.seconds
    assert known.seconds_low == pytest.approx(0.9 * known.seconds, abs=0.1)
    assert known.seconds_high == pytest.approx(1.1 * known.seconds, abs=0.1)


def test_a_search_adds_its_trials_within_its_time():
    plain = estimated("tabular-regression")
    searched = estimated("tabular-regression", search={"trials": 10})
    assert searched.seconds_high == pytest.approx(11 * plain.seconds_high, rel=0.01)
    assert searched.seconds_low == pytest.approx(4 * plain.seconds_low, rel=0.02)
    bounded = estimated("tabular-regression", search={"trials": 200, "seconds": 20})
    assert bounded.seconds_high == pytest.approx(plain.seconds_high + 20, abs=0.2)


@pytest.mark.parametrize("task", ["image-classification", "text-generation"])
def test_an_export_trains_nothing(task):
    form = {"image-classification": "onnx", "text-generation": "safetensors"}[task]
    exported = estimated(task, 20_000, export={"format": form})
    assert exported.seconds < estimated(task, 20_000).seconds / 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(89.4, "89 seconds"), (90, "2 minutes"), (5399, "90 minutes"), (5400, "1.5 hours")],
)
def test_durations_are_in_the_unit_people_would_use(seconds, text):
    assert _format_duration(seconds) == text


def test_all_members_of_a_table_take_what_each_takes_alone():
    rows, width, labels = 3000, 40, 3
    alone = [
        tabular.seconds_to_fit(TabularHyperparameters(method=method), rows, width, labels, 1.0)
        for method in ("network", "trees", "random_trees", "linear")
    ]
    together = tabular.seconds_to_fit(TabularHyperparameters(), rows, width, labels, 1.0)
    assert together == pytest.approx(sum(alone))


def test_random_trees_sort_every_column_for_numbers_and_their_root_for_labels():
    of = TabularHyperparameters(method="random_trees")
    rows, width = 1000, 49
    per_tree = rows * log2(rows + 2) * tabular.SECONDS_PER_CELL_SORTED
    assert tabular.seconds_to_fit(of, rows, width, 1, 1.0) == pytest.approx(500 * per_tree * 49)
    assert tabular.seconds_to_fit(of, rows, width, 2, 1.0) == pytest.approx(500 * per_tree * 7)
    many = tabular.seconds_to_fit(of, 20_001, width, 2, 1.0)
    assert many < tabular.seconds_to_fit(of, 20_000, width, 2, 1.0)  # No leaf size is tuned.


def test_a_tables_width_counts_categories_up_to_the_cap():
    def width(**column):
        return tabular._encoded_width(column)

    assert width(unique=12, mean_length=4.0) == 12
    assert width(unique=9000, mean_length=4.0) == tabular.MAX_CATEGORIES
    assert width(unique=9000) == 1  # A number.
    assert width() == tabular.DEFAULT_COLUMN_WIDTH


def test_the_target_is_no_feature_where_features_are_not_named():
    wide = {name: {"unique": 20, "mean_length": 5.0} for name in "abcdef"}
    named = estimated("tabular-regression", columns=wide | COLUMNS, feature_columns=["a"])
    assert named.seconds < estimated("tabular-regression", columns=wide | COLUMNS).seconds


def test_lora_steps_are_shorter_and_cheaper_than_full_ones():
    def seconds(method):
        return generation.seconds_to_fit(
            GenerationHyperparameters(method=method, epochs=3),
            rows=100,
            tokens=50,
            speed=2.0,
            is_scratch=False,
            device="cpu",
        )

    assert seconds("full") == pytest.approx(3 * 100 * 50 * 2 / 8000)
    assert seconds("lora") == pytest.approx(0.8 * seconds("full"))
    base = "SmolLM2-135M-Instruct"
    full = estimated("text-generation", base_model=base, hyperparameters={"method": "full"})
    assert estimated("text-generation", base_model=base).memory_bytes < full.memory_bytes


def test_the_test_answers_no_more_rows_than_asked_for():
    hyperparameters = GenerationHyperparameters(generated_rows=10, generated_tokens=60)
    few, many = (
        generation.seconds_to_test(hyperparameters, rows=rows, speed=1.0, device="cpu")
        for rows in (10, 10_000)
    )
    assert few == many == pytest.approx(2 + 2 * 10 * 60 / 600)


def test_images_cost_by_area_and_a_frozen_head_has_no_epochs():
    def seconds(**hyperparameters):
        return image.seconds_to_fit(
            ImageHyperparameters(**hyperparameters), 500, 1.0, is_scratch=True
        )

    head = seconds(method="head")
    assert head == pytest.approx(2 + 500 * 0.004)
    small, large = seconds(epochs=4, image_size=96), seconds(epochs=4, image_size=192)
    assert large - 2 == pytest.approx(4 * (small - 2))
    assert image.image_side(ImageHyperparameters(), is_scratch=True) == 96
    assert image.image_side(ImageHyperparameters(), is_scratch=False) == 224
    assert image.image_side(ImageHyperparameters(image_size=64), is_scratch=False) == 64


def test_an_encoder_from_scratch_is_trained_in_full_and_longer():
    entry = catalog.get_base_model("small-text-transformer")
    tuned = estimated("text-classification", 3000)
    scratch = estimated("text-classification", 3000, base_model=entry.id)
    assert scratch.seconds / entry.speed > tuned.seconds


def test_folds_add_a_training_each():
    none, five = (
        estimated("text-classification", hyperparameters={"folds": folds}) for folds in (0, 5)
    )
    longer = estimated("text-classification", hyperparameters={"folds": 10})
    assert longer.seconds - five.seconds == pytest.approx(five.seconds - none.seconds, rel=0.01)


def test_labels_unknown_to_the_profile_count_as_two():
    stats = DatasetStats(rows=1, columns={"y": {"unique": 7}, "z": {"unique": None}})
    assert [stats.count_labels(name) for name in ("y", "z", "absent")] == [7, 2, 2]
    assert stats.total(["y", "z", "absent"], "unique") == 7
