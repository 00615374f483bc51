"""What the tasks share: rows held out, parity that refuses, labels without training rows."""

import numpy as np
import pytest
import torch

from engine.data.splitting import Split
from engine.errors import BrokenExport
from engine.events import DatasetLoaded, Reporter, parse_event
from engine.loop.device import Device, full_matmul_precision
from engine.loop.optimizers import parameter_groups
from engine.spec import TextHyperparameters, parse_spec
from engine.tasks.shared import PreparedJob, require_exact_parity


def split_of(train, validation, test):
    numbers = np.arange(train + validation + test)
    return Split(numbers[:train], numbers[train : train + validation], numbers[-test:], [])


def job(train=10, validation=3, test=2, **changes):
    spec = {"data": "d", "output": "o", "work": "w", "text_columns": ["x"], "target_column": "y"}
    return PreparedJob(
        parse_spec(spec | changes), split_of(train, validation, test), Device("cpu"), ["Careful."]
    )


@pytest.mark.parametrize(
    ("fewest", "most", "expected"),
    [
        (1, 100, [10, 11, 12]),  # All validation rows, and no others.
        (5, 100, [10, 11, 12, 0, 1]),  # Training rows fill up.
        (1, 2, [10, 11]),
        (50, 100, [10, 11, 12, *range(10)]),  # Never test rows.
    ],
)
def test_files_are_compared_on_validation_rows_first(fewest, most, expected):
    assert job().held_out_rows(fewest, most).tolist() == expected


def test_the_counts_of_rows_are_reported_and_summarised_alike():
    lines = []
    job().report_dataset(Reporter(lines.append), ["a"])
    (event,) = map(parse_event, lines)
    assert isinstance(event, DatasetLoaded)
    summary = job().data_summary()
    assert summary == {
        "train_rows": 10,
        "validation_rows": 3,
        "test_rows": 2,
        "split": "Drawn, each label in proportion, seed 0; duplicates and near duplicates on one"
        " side.",
        "warnings": ["Careful."],
    }
    assert (event.train_rows, event.validation_rows, event.test_rows) == (10, 3, 2)


def test_labels_are_counted_in_each_part_also_where_a_row_has_several():
    lines = []
    numbers = np.array([0, 1] * 7 + [2])
    job().report_dataset(Reporter(lines.append), ["a", "b", "c"], numbers)
    several = np.zeros((15, 2), dtype=bool)
    several[:11, 0] = several[9:, 1] = True
    job().report_dataset(Reporter(lines.append), ["a", "b"], several)
    one, many = map(parse_event, lines)
    assert one.label_rows == {"train": [5, 5, 0], "validation": [2, 1, 0], "test": [0, 1, 1]}
    assert many.label_rows == {"train": [10, 1], "validation": [1, 3], "test": [0, 2]}


def test_the_recommended_rate_is_the_base_models_times_the_methods():
    plain = job(train=100).recommended_learning_rate
    assert plain == job().base_model.learning_rate
    lora = job(train=100, hyperparameters={"method": "lora"}).recommended_learning_rate
    assert lora == pytest.approx(10 * plain)
    scratch = job(base_model="small-text-transformer")
    assert scratch.is_from_scratch
    assert not job().is_from_scratch
    assert scratch.recommended_learning_rate == scratch.base_model.learning_rate


def test_outputs_within_the_limit_are_accepted_with_their_agreement():
    expected = [np.array([1.0, 2.0]), np.array([3.0, 2.9995])]
    outputs = [np.array([1.0, 2.0]), np.array([2.9995, 3.0])]
    parity = require_exact_parity(expected, outputs, 1e-3)
    assert parity["rows"] == 2
    assert parity["largest_logit_difference"] == pytest.approx(5e-4)
    assert parity["label_agreement"] == 0.5
    assert parity["accepted"]
    assert "label_agreement" not in require_exact_parity(expected, outputs, 1e-3, has_labels=False)


@pytest.mark.parametrize("wrong", [1.1, np.nan, np.inf])
def test_one_output_beyond_the_limit_refuses_the_file(wrong):
    expected = [np.array([1.0, 0.0])] * 3
    outputs = [np.array([1.0, 0.0]), np.array([wrong, 0.0]), np.array([1.0, 0.0])]
    with pytest.raises(BrokenExport, match="does not compute"):
        require_exact_parity(expected, outputs, 0.05)


def test_files_are_compared_at_full_precision_and_the_jobs_is_put_back():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with full_matmul_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        with pytest.raises(ZeroDivisionError), full_matmul_precision():
            _ = 1 / 0
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_only_matrices_that_learn_decay_and_named_ones_do_not():
    network = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(5, 4),
            "frozen": torch.nn.Linear(4, 4).requires_grad_(False),
            "layer": torch.nn.Linear(4, 3),
        }
    )
    hyperparameters = TextHyperparameters(weight_decay=0.3)
    decayed, others = parameter_groups(network, hyperparameters, 0.01, undecayed="embedding")
    assert decayed["params"] == [network["layer"].weight]
    assert (decayed["lr"], decayed["weight_decay"]) == (0.01, 0.3)
    assert {id(one) for one in others["params"]} == {
        id(network["embedding"].weight),
        id(network["layer"].bias),
    }
    assert others["weight_decay"] == 0
    all_matrices, _ = parameter_groups(network, hyperparameters, 0.01)
    assert len(all_matrices["params"]) == 2
    (alone,) = parameter_groups(torch.nn.LayerNorm(3), TextHyperparameters(optimizer="sgd"), 0.01)
    assert alone["lr"] == pytest.approx(1.0)  # A hundred times AdamW's.
