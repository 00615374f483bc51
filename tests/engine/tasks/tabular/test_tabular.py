"""Learning from tables: what a column is, what a row becomes, and whole jobs."""

import json
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.metrics import mean_absolute_error, roc_auc_score

from engine import artifact, serving
from engine.errors import BadTrainingData, BrokenExport, StopRequested
from engine.estimate import cross_validation
from engine.events import CheckpointSaved, DatasetLoaded, Reporter, parse_event
from engine.pipeline import run_job
from engine.spec import parse_spec
from engine.stop_signal import StopSignal
from engine.tasks.tabular import ensemble_members, ensemble_weights, extra_trees, onnx_trees
from engine.tasks.tabular.encoder import TableEncoder
from engine.tasks.tabular.ensemble_members import BoostedTrees, EncodedRows, Linear, loss
from engine.tasks.tabular.ensemble_weights import fit_ensemble_weights, weighted_mean
from engine.tasks.tabular.extra_trees import ExtraTrees
from engine.tasks.tabular.features import infer_features
from engine.tasks.tabular.onnx_graph import OnnxGraphBuilder
from engine.tasks.tabular.onnx_trees import round_down_to_float32

same_worker = pytest.mark.xdist_group("tabular")  # Where their model was trained.
QUICK = {"epochs": 3, "batch_rows": 32}


def table(rows=400, seed=0):
    """A shop's customers: whether they came back, and what they spent, follow from the rest."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows).astype(float)
    city = rng.choice(["oslo", "lima", "rome"], rows)
    member = rng.random(rows) < 0.4
    day = [date(2025, 1 + int(month), 1) for month in rng.integers(0, 12, rows)]
    score = (age - 50) / 10 + 2.0 * (city == "rome") + 1.5 * member + rng.normal(0, 0.7, rows)
    gaps = rng.random(rows) < 0.1
    return {
        "id": list(range(rows)),
        "age": [None if gap else value for gap, value in zip(gaps, age, strict=True)],
        "city": city.tolist(),
        "member": member.tolist(),
        "since": day,
        "shop": ["main"] * rows,
        "note": [f"wrote letter number {number} to us" for number in range(rows)],
        "returned": np.where(score > 0.5, "yes", "no").tolist(),
        "spent": (100 + 30 * score).tolist(),
    }


def write(tmp_path, columns, *, target="returned", name="job", **changes):
    data = tmp_path / f"{name}.parquet"
    pq.write_table(pa.table(columns), data)
    kind = "tabular-regression" if target == "spent" else "tabular-classification"
    spec = {
        "task": kind,
        "data": data,
        "target_column": target,
        "feature_columns": [one for one in columns if one not in ("returned", "spent", "part")],
        "output": tmp_path / name / "artifact",
        "work": tmp_path / name / "work",
        "threads": 1,
        "hyperparameters": QUICK,
    }
    return parse_spec(spec | changes)


def run(spec, stop=None, seen=None):
    lines = []

    def write_line(line):
        lines.append(parse_event(line))
        if seen is not None:
            seen(lines[-1])

    run_job(spec, Reporter(write_line), stop or StopSignal())
    return lines


@pytest.fixture(scope="module", autouse=True)
def _few_trees():
    """What they compute does not depend on how many there are. Figures are of the served file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_validation, "MIN_TEST_ROWS", 0)
        patch.setattr(ensemble_members, "MAX_ROUNDS", 40)
        patch.setattr(extra_trees, "TREE_COUNT", 20)
        yield


@pytest.fixture(scope="module")
def customers(tmp_path_factory):
    spec = write(tmp_path_factory.mktemp("tabular"), table())
    return spec, run(spec)


@same_worker
def test_the_report_says_what_scikit_learn_says_of_the_served_files_answers(customers):
    spec, _ = customers
    report = json.loads((spec.output / "report.json").read_text())
    rows = pq.read_table(spec.output / "predictions.parquet").to_pylist()
    data = pq.read_table(spec.data).to_pylist()
    model = serving.load_model(spec.output)
    names = model.manifest.inputs.columns
    answers = model.answer([{name: data[row["row"]][name] for name in names} for row in rows])
    assert [answer["label"] for answer in answers] == [row["predicted"] for row in rows]
    auc = next(one["value"] for one in report["metrics"] if one["name"] == "roc_auc")
    truth = [data[row["row"]]["returned"] == "yes" for row in rows]
    shares = [answer["probabilities"]["yes"] for answer in answers]
    assert auc == pytest.approx(roc_auc_score(truth, shares), abs=1e-4)
    assert auc > 0.85
    assert {one["id"] for one in report["baselines"]} == {"majority", "linear", "boosted"}
    assert report["explanations"]["columns"][0]["score"] > 0
    assert {one["id"] for one in report["robustness"]["changes"]} == {"missing", "noise"}


@same_worker
def test_columns_that_teach_nothing_are_left_out_with_a_reason(customers):
    spec, events = customers
    warnings = " ".join(next(one for one in events if isinstance(one, DatasetLoaded)).warnings)
    assert "'id' is left out: it numbers the rows" in warnings
    assert "'shop' is left out: it says the same in every row" in warnings
    assert "'note' is left out" in warnings
    assert "free text" in warnings
    features = artifact.read_manifest(spec.output).inputs.features
    kinds = {feature.name: feature.kind for feature in features}
    assert kinds == {"age": "number", "city": "category", "member": "boolean", "since": "date"}


@same_worker
def test_requests_may_leave_out_values_and_bring_new_categories_but_no_nonsense(customers):
    model = serving.load_model(customers[0].output)
    answers = model.answer([{"age": 70, "city": "paris"}, {}, {"since": "2025-03-01", "age": "30"}])
    for answer in answers:
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    with pytest.raises(BadTrainingData, match="'age' must be a number, not 'old'"):
        model.answer([{"age": "old"}])
    with pytest.raises(BadTrainingData, match="no feature 'colour'"):
        model.answer([{"colour": "red"}])
    with pytest.raises(BadTrainingData, match="'since' must be a date"):
        model.answer([{"since": "yesterday"}])


def test_a_regression_answers_in_the_targets_own_unit(tmp_path):
    spec = write(tmp_path, table(), target="spent", hyperparameters=QUICK | {"method": "linear"})
    run(spec)
    report = json.loads((spec.output / "report.json").read_text())
    rows = pq.read_table(spec.output / "predictions.parquet").to_pylist()
    predicted = [row["predicted"] for row in rows]
    error = mean_absolute_error([row["label"] for row in rows], predicted)
    metrics_by_name = {one["name"]: one["value"] for one in report["metrics"]}
    assert metrics_by_name["mae"] == pytest.approx(error, rel=1e-6)
    assert metrics_by_name["r2"] > 0.6
    data = pq.read_table(spec.data).to_pylist()
    model = serving.load_model(spec.output)
    names = model.manifest.inputs.columns
    cells = [{name: data[row["row"]][name] for name in names} for row in rows]
    assert [one["value"] for one in model.answer(cells)] == pytest.approx(predicted, rel=1e-4)


@pytest.mark.parametrize("target", ["returned", pytest.param("spent", marks=pytest.mark.nightly)])
def test_stopping_mid_epoch_and_resuming_gives_the_same_bits(tmp_path, target):
    method = {"hyperparameters": QUICK | {"method": "network"}}
    straight = write(tmp_path, table(), target=target, name="straight", **method)
    run(straight)
    broken = write(
        tmp_path, table(), target=target, name="broken", checkpoint_seconds=1e-6, **method
    )
    stop, saved = StopSignal(), []

    def leave(event):
        if isinstance(event, CheckpointSaved):
            saved.append(event)
            if event.step == 13:  # Of 10 steps an epoch.
                stop.requested = True

    with pytest.raises(StopRequested):
        run(broken, stop, leave)
    assert saved[-1].step % 10
    run(broken.model_copy(update={"resume_from": artifact.Path(saved[-1].path)}))
    weights = [(one.output / "network.safetensors").read_bytes() for one in (straight, broken)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("labels", [2, 4])
def test_trees_answer_the_same_as_onnx_to_the_last_comparison(tmp_path, labels):
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(600, 5)).astype(np.float32)
    target = rng.integers(0, labels, 600)
    model = HistGradientBoostingClassifier(max_iter=12, random_state=0).fit(matrix, target)
    forest = BoostedTrees([model], labels)
    parts = OnnxGraphBuilder()
    parts.add_boosted_trees(forest)
    parts.save(tmp_path / "m.onnx", 5, labels)
    answers = serving.sessions.open_session(tmp_path / "m.onnx").run(None, {"features": matrix})[0]
    assert np.abs(answers - forest.outputs(matrix)).max() < 1e-5


def test_several_forests_and_a_line_count_their_shares_in_the_graph(tmp_path):
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(300, 3)).astype(np.float32)
    target = matrix[:, 0] * 2 + rng.normal(size=300)
    models = [
        HistGradientBoostingRegressor(max_iter=9, max_features=0.5, random_state=seed).fit(
            matrix, target
        )
        for seed in range(3)
    ]
    forest, line = BoostedTrees(models, 1), Linear(np.ones((1, 3), "f4"), np.ones(1, "f4"))
    parts = OnnxGraphBuilder()
    parts.add_boosted_trees(forest, 0.3)
    parts.add_linear(line, 0.7)
    parts.save(tmp_path / "m.onnx", 3, 1)
    answers = serving.sessions.open_session(tmp_path / "m.onnx").run(None, {"features": matrix})[0]
    expected = 0.3 * forest.outputs(matrix) + 0.7 * line.outputs(matrix)
    assert np.abs(answers - expected).max() < 1e-5


@pytest.mark.parametrize("labels", [1, 2, 4])
def test_random_trees_answer_the_same_as_onnx(tmp_path, labels):
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(500, 4)).astype(np.float32)
    target = rng.integers(0, labels, 500) if labels > 1 else matrix[:, 0] * 3
    kind = ExtraTreesClassifier if labels > 1 else ExtraTreesRegressor
    model = ExtraTrees(kind(9, random_state=0).fit(matrix, target), labels)
    parts = OnnxGraphBuilder()
    parts.add_extra_trees(model)
    parts.save(tmp_path / "m.onnx", 4, labels)
    inputs = rng.normal(size=(300, 4)).astype(np.float32)
    answers = serving.sessions.open_session(tmp_path / "m.onnx").run(None, {"features": inputs})[0]
    expected = model.outputs(inputs)
    assert answers.shape == (300, labels)
    assert np.abs(answers - expected).max() < 1e-5
    if labels > 1:  # Logarithms of probabilities, none of them zero.
        assert np.exp(expected).sum(axis=1) == pytest.approx(1)
        assert expected.min() > np.log(0.004)


def test_members_count_by_what_they_do_on_validation_rows():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=3000)
    outputs = {
        "rough": (truth + rng.normal(size=3000))[:, None],
        "fine": (truth + rng.normal(size=3000) / 2)[:, None],
        "noise": 4 * rng.normal(size=(3000, 1)),
    }
    rows = EncodedRows(np.zeros((3000, 1), "f4"), truth, None)
    shares = fit_ensemble_weights(outputs, rows)
    assert list(shares) == ["rough", "fine"]
    assert sum(shares.values()) == pytest.approx(1)
    # Errors of variance 1 and 1/4 are smallest together at weights 1 : 4.
    assert shares["fine"] == pytest.approx(0.8, abs=0.05)
    assert loss(weighted_mean(outputs, shares), rows) < loss(outputs["fine"], rows)


def test_few_validation_rows_leave_members_nearly_even():
    rng = np.random.default_rng(6)
    truth = rng.normal(size=12)
    outputs = {"one": truth[:, None], "other": truth[:, None] + 1}
    rows = EncodedRows(np.zeros((12, 1), "f4"), truth, None)
    assert fit_ensemble_weights(outputs, rows)["one"] < 0.7
    nothing = EncodedRows(np.zeros((0, 1), "f4"), truth[:0], None)
    assert fit_ensemble_weights(outputs, nothing) == {"one": 0.5, "other": 0.5}


@pytest.mark.parametrize("is_label", [True, False])
def test_few_validation_rows_weigh_members_by_all_rows_answered_unseen(is_label):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 5)).astype(np.float32)
    score = matrix @ np.array([2.0, -1.0, 0.5, 0, 0]) + rng.normal(0, 0.5, 200)
    targets = (score > 0).astype(np.int64) if is_label else score
    outputs = 2 if is_label else 1
    rows = EncodedRows(matrix, targets, None)
    fitters = {
        "linear": lambda some: ensemble_members.fit_linear_with(some, outputs, 1.0),
        "trees": lambda some: ensemble_members.fit_boosted_with(
            some, outputs, 10, seed=0, models=1
        ),
    }
    known = ensemble_weights.cross_validate_weights(fitters, rows, seed=0)
    assert known["linear"] > 0.8  # Which is the truth here.
    few = EncodedRows(matrix[:20], targets[:20], None)
    alike = dict.fromkeys([*fitters, "network"], np.zeros((20, outputs)))
    even, led = fit_ensemble_weights(alike, few), fit_ensemble_weights(alike, few, known)
    assert led["linear"] > even["linear"]
    assert sum(led.values()) == pytest.approx(1)


def test_labels_with_too_few_rows_for_every_fold_leave_weights_even():
    rows = EncodedRows(np.zeros((60, 1), np.float32), np.array([0] * 57 + [1] * 3), None)
    assert ensemble_weights.cross_validate_weights({"a": None, "b": None}, rows, 0) is None


def test_thresholds_are_rounded_so_that_no_float32_changes_sides():
    exact = np.asarray([0.1, 1 / 3, -0.7, 2.5])
    rounded = round_down_to_float32(exact)
    assert (rounded <= exact).all()
    assert (np.nextafter(rounded, np.float32(9)) > exact).all()


def test_an_export_that_answers_otherwise_is_refused(tmp_path, monkeypatch):
    spec = write(tmp_path, table(120), hyperparameters=QUICK | {"method": "trees"})
    monkeypatch.setattr(
        onnx_trees, "round_down_to_float32", lambda values: np.float32(values) + np.float32(0.5)
    )
    with pytest.raises(BrokenExport, match="does not compute"):
        run(spec)
    assert not spec.output.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"spent": ["cheap", *["1", "2"] * 199, "3"]}, "says 'cheap' in row 1"),
        ({"spent": [5.0] * 400}, "same spent"),
    ],
)
def test_a_target_that_is_no_number_is_refused_with_its_row(tmp_path, change, sentence):
    with pytest.raises(BadTrainingData, match=sentence):
        run(write(tmp_path, table() | change, target="spent"))


def test_labels_without_training_rows_are_refused(tmp_path):
    columns = table(60)
    columns["part"] = ["test" if label == "yes" else "train" for label in columns["returned"]]
    with pytest.raises(BadTrainingData, match="'yes' has no training rows"):
        run(write(tmp_path, columns, split={"column": "part"}))


def test_only_training_rows_shape_the_features():
    known = pa.table({"size": [1.0, 2.0, 3.0, 900.0], "kind": ["a", "b", "a", "secret"]})
    features, _ = infer_features(known, ["size", "kind"], [0, 1, 2])
    assert features[0].high == 3.0
    assert "secret" not in features[1].categories
    matrix = TableEncoder(features).encode({"size": [None], "kind": ["secret"]})
    assert np.isfinite(matrix).all()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["returned", "spent"])
def test_the_figures_of_few_rows_rest_on_nearly_all_of_them(tmp_path, target, monkeypatch):
    monkeypatch.setattr(cross_validation, "MIN_TEST_ROWS", 400)
    monkeypatch.setattr(cross_validation, "MAX_SECONDS", 1000)
    spec = write(tmp_path, table(160), target=target)
    run(spec)
    report = json.loads((spec.output / "report.json").read_text())
    crossed, data = report["cross_validation"], report["data"]
    assert crossed["rows"] == report["test_rows"] == data["train_rows"] + data["test_rows"]
    assert crossed["sentence"].startswith(f"The figures rest on {crossed['rows']} rows")
    assert len({one["id"] for one in report["baselines"]}) == 3
    if target == "returned":
        assert sum(one["support"] for one in report["per_class"]) == crossed["rows"]
        assert np.sum(report["confusion"]["matrix"]) == data["test_rows"]
    # What people read and what programs get stay the served model's answers.
    rows = pq.read_table(spec.output / "predictions.parquet").to_pylist()
    assert len(rows) == data["test_rows"]
