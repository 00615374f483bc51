"""Image jobs: training, exports, hub models and what is refused."""

import io
import json
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from engine import artifact, catalog, serving
from engine.analysis.on_demand import AnalysisRequest, analyse
from engine.errors import BadTrainingData, BrokenExport, ExportRefused, StopRequested
from engine.events import CheckpointSaved, DatasetLoaded, Reporter, TrialUpdated, parse_event
from engine.export.onnx import write_traced
from engine.pipeline import run_job
from engine.progress import ProgressTracker
from engine.spec import ExportSpec, parse_spec
from engine.stop_signal import StopSignal
from engine.tasks.image import fit
from engine.tasks.image import onnx as exporting
from engine.tasks.image.data import augmentation
from engine.tasks.image.data.preprocessing import Preprocessing, to_network_input
from engine.tasks.image.ensemble import FeatureExtractor
from engine.tasks.image.handcrafted_features import HandcraftedFeatures
from engine.tasks.image.prepare import prepare
from tests.pictures import coloured, encoded, photos

same_worker = pytest.mark.xdist_group("images")  # Where their models were trained.
QUICK = {"epochs": 2, "batch_rows": 8, "image_size": 32}
HEAD = QUICK | {"method": "head"}


def write(tmp_path, *, name="job", splits=True, each=12, **changes):
    made = photos(each)
    columns = {
        "image": list(made.values()),
        "label": [label for label, _ in made],
        "file": [f"{label}/{number}.png" for label, number in made],
    }
    if splits:
        parts = ["train"] * (each - 6) + ["validation"] * 3 + ["test"] * 3
        columns["split"] = [parts[number] for _, number in made]
    data = tmp_path / f"{name}.parquet"
    pq.write_table(pa.table(columns), data, row_group_size=8)
    spec = {
        "task": "image-classification",
        "data": data,
        "image_column": "image",
        "target_column": "label",
        "split_column": "split" if splits else None,
        "base_model": "small-resnet",
        "output": tmp_path / name / "artifact",
        "work": tmp_path / name / "work",
        "threads": 1,
        "hyperparameters": QUICK,
    }
    return parse_spec(spec | changes)


def run(spec, listen=None, stop=None):
    events = []

    def note(line):
        event = parse_event(line)
        events.append(event)
        if listen:
            listen(event)

    result = run_job(spec, Reporter(note), stop or StopSignal())
    return result, events


def prepared(spec):
    """What a job knows before it trains, and the event that says so."""
    lines = []
    report = Reporter(lines.append)
    job = prepare(spec, ProgressTracker(report, {"loading": 1}), report)
    events = map(parse_event, lines)
    return job, next(event for event in events if isinstance(event, DatasetLoaded))


@pytest.fixture(scope="module")
def head_job(tmp_path_factory):
    spec = write(tmp_path_factory.mktemp("head"), hyperparameters=HEAD)
    run(spec)
    return spec


def report_of(spec):
    return json.loads((spec.output / "report.json").read_text())


def test_a_job_learns_exports_and_reports_on_the_given_split(tmp_path):
    spec = write(tmp_path)
    result, events = run(spec)
    loaded = next(event for event in events if isinstance(event, DatasetLoaded))
    assert (loaded.train_rows, loaded.validation_rows, loaded.test_rows) == (18, 9, 9)
    manifest, report = artifact.verify(spec.output), report_of(spec)
    assert manifest.inputs.kind == "image"
    assert manifest.inputs.image_size == (32, 32)
    assert result.metrics["accuracy"] > 0.8
    assert {"majority", "linear"} <= {one["id"] for one in report["baselines"]}
    assert manifest.parity["model.onnx"]["accepted"]
    assert {"grain", "shift"} <= {one["id"] for one in report["robustness"]["changes"]}
    assert report["robustness"]["adversarial"]["rows"] == 9
    explained = report["examples"]["random"][0]["explanation"]
    assert np.array(explained["grid"]).shape == (14, 14)
    assert explained["covers"] == [0, 0, 1, 1]
    assert report["data"]["picture_size"] == "32 × 32 pixels"


@same_worker
def test_what_is_served_is_what_was_tested(head_job, tmp_path):
    _asked_why_afterwards(head_job, tmp_path)
    model = serving.load_model(head_job.output)
    made = photos(2)
    answers = model.answer(list(made.values()))
    assert [one["label"] for one in answers] == [label for label, _ in made]
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    with pytest.raises(BadTrainingData, match="Picture 2 cannot be looked at"):
        model.answer([made["red", 0], b"nonsense"])
    assert "model.int8.onnx" not in artifact.read_manifest(head_job.output).files


def _asked_why_afterwards(spec, tmp_path):
    request = AnalysisRequest(kind="explain", artifact=spec.output, data=spec.data, row=13)
    analysis = analyse(request)
    assert analysis["answer"]["label"] == analysis["label"] == "green"
    assert np.abs(np.array(analysis["grid"])).max() > 0
    (tmp_path / "mine.png").write_bytes(photos(1)["red", 0])
    again = AnalysisRequest(kind="explain", artifact=spec.output, picture=tmp_path / "mine.png")
    assert analyse(again)["label"] == "red"
    for wrong in ({"row": 999}, {"input": "/etc/passwd"}):
        with pytest.raises(BadTrainingData, match="picture"):
            analyse(request.model_copy(update={"row": None} | wrong))


@pytest.mark.nightly
def test_a_stopped_job_resumes_to_the_very_same_weights(tmp_path):
    hyperparameters = QUICK | {"epochs": 3, "method": "full", "early_stopping_patience": 0}
    whole = write(tmp_path, name="whole", hyperparameters=hyperparameters)
    run(whole)
    stop, saved = StopSignal(), []

    def stop_in_the_second_epoch(event):
        if isinstance(event, CheckpointSaved):
            saved.append(Path(event.path))
            if event.step == 4:
                stop.requested = True

    halted = write(
        tmp_path, name="halted", hyperparameters=hyperparameters, checkpoint_seconds=1e-6
    )
    with pytest.raises(StopRequested):
        run(halted, stop_in_the_second_epoch, stop)
    run(halted.model_copy(update={"resume_from": saved[-1]}))
    weights = [(one.output / "network.safetensors").read_bytes() for one in (whole, halted)]
    assert weights[0] == weights[1]


def test_a_broken_export_is_refused(tmp_path, monkeypatch):
    write_onnx = exporting.write_traced

    def write_wrongly(network, shape, path, **names):
        write_onnx(network, shape, path, **names)
        model = onnx.load(str(path))
        large = max(model.graph.initializer, key=lambda one: len(one.raw_data))
        large.raw_data = bytes(len(large.raw_data))
        onnx.save(model, str(path))

    monkeypatch.setattr(exporting, "write_traced", write_wrongly)
    with pytest.raises(BrokenExport, match="does not compute"):
        run(write(tmp_path, hyperparameters=HEAD))


@pytest.mark.parametrize("method", [pytest.param("auto", marks=pytest.mark.nightly), "head"])
def test_a_hub_model_is_loaded_from_the_models_folder(tmp_path, monkeypatch, method):
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        image_size=32,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=7,
    )
    folder = tmp_path / "models" / "google" / "vit-base-patch16-224"
    torch.manual_seed(0)
    ViTForImageClassification(config).save_pretrained(folder)
    processor = {"size": {"height": 32, "width": 32}, "image_mean": [0.4] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    monkeypatch.setenv("LATHE_MODELS_DIR", str(tmp_path / "models"))
    spec = write(
        tmp_path,
        base_model="vit-base-patch16-224",
        hyperparameters={"epochs": 1, "batch_rows": 8, "method": method},
    )
    run(spec)
    manifest = artifact.verify(spec.output)
    assert manifest.inputs.preprocessing["mean"] == [0.4, 0.4, 0.4]
    assert manifest.training["method"] in ("network", "head")
    assert manifest.parity["model.onnx"]["accepted"]


def test_a_resnet_of_the_hub_loses_its_head_alone():
    from transformers import ResNetConfig, ResNetForImageClassification

    from engine.tasks.image.network import HubBackbone

    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
    )
    backbone = HubBackbone(ResNetForImageClassification(config)).eval()
    assert backbone.width == 16
    assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 16)


@pytest.mark.nightly
def test_the_small_vit_learns_with_no_download(tmp_path):
    settings = QUICK | {"epochs": 1, "method": "full", "gradient_checkpointing": True}
    spec = write(tmp_path, base_model="small-vit", hyperparameters=settings)
    run(spec)
    assert artifact.verify(spec.output).parity["model.onnx"]["accepted"]


def test_rows_are_drawn_where_no_split_is_given(tmp_path):
    job, loaded = prepared(write(tmp_path, splits=False, hyperparameters=HEAD))
    assert loaded.test_rows >= 4
    assert loaded.train_rows + loaded.validation_rows + loaded.test_rows == 36
    assert any("where it is quick, the model is fitted again" in text for text in job.warnings)


def test_augmentation_follows_from_seed_epoch_and_row_alone():
    rows = np.arange(6)
    one = augmentation.sample_params(rows, seed=1, epoch=2, kind="strong")
    again = augmentation.sample_params(rows[3:], seed=1, epoch=2, kind="strong")
    other = augmentation.sample_params(rows, seed=1, epoch=3, kind="strong")
    assert np.array_equal(one.affine_matrices[3:], again.affine_matrices)
    assert not np.array_equal(one.affine_matrices, other.affine_matrices)
    pixels = torch.rand(6, 3, 32, 32)
    seen = augmentation.augment(pixels, one)
    assert seen.shape == pixels.shape
    assert 0 <= float(seen.min()) <= float(seen.max()) <= 1
    light = augmentation.sample_params(rows, seed=1, epoch=2, kind="light")
    assert np.all(light.color_factors == 1)


def test_mixup_follows_from_seed_epoch_and_rows_alone():
    rows = np.arange(8)
    others, kept = augmentation.sample_mixup(rows, seed=1, epoch=2, alpha=0.2)
    again, same = augmentation.sample_mixup(rows, seed=1, epoch=2, alpha=0.2)
    assert (others.tolist(), kept) == (again.tolist(), same)
    assert sorted(others.tolist()) == rows.tolist()
    shares = [
        augmentation.sample_mixup(rows, seed=1, epoch=epoch, alpha=0.2)[1] for epoch in range(200)
    ]
    assert min(shares) >= 0.5
    assert max(shares) <= 1
    assert np.mean(np.array(shares) > 0.9) > 0.5  # Beta(0.2, 0.2) mostly keeps one picture.


def test_a_mixed_batch_costs_what_its_labels_share(tmp_path):
    job, _ = prepared(write(tmp_path, hyperparameters=QUICK | {"method": "full", "mixup": 1.0}))
    learner = fit.ImageLearner(job, job.create_network())
    learner.network.eval()
    batch = learner.epoch_batches(0)[0][0]
    plain = job.spec.hyperparameters.model_copy(update={"mixup": 0.0, "augmentation": "none"})
    mixed = plain.model_copy(update={"mixup": 1.0})
    rows = learner._train_rows(batch)
    others, shares = augmentation.sample_mixup(rows, seed=mixed.seed, epoch=0, alpha=1.0)
    with torch.no_grad():
        job.spec = job.spec.model_copy(update={"hyperparameters": mixed})
        loss = float(learner.loss(batch))
        pixels = torch.from_numpy(to_network_input(job.pixels(rows)))
        outputs = learner.network(shares * pixels + (1 - shares) * pixels[others])
    head = job.prediction_head
    expected = shares * head.loss(outputs, rows) + (1 - shares) * head.loss(outputs, rows[others])
    assert loss == pytest.approx(float(expected), rel=1e-4)


def test_outlines_do_not_know_brightness_but_directions():
    describe = HandcraftedFeatures(64).outlines
    across = np.zeros((64, 64, 3), dtype=np.uint8)
    across[::8] = 200
    down = across.transpose(1, 0, 2)
    with torch.inference_mode():
        one, other, dim = (
            describe(torch.from_numpy(to_network_input(np.stack([each]))))
            for each in (across, down, across // 2)
        )
    assert torch.dist(one, other) > 5 * torch.dist(one, dim)


def test_cropping_takes_the_middle_and_rotation_is_honoured():
    wide = np.zeros((40, 120, 3), dtype=np.uint8)
    wide[:, 40:80] = 255
    look = Preprocessing(fit="crop", side=32, resize=32)
    assert look.pixels(encoded(wide)).mean() > 240
    turned = Image.fromarray(wide)
    exif = turned.getexif()
    exif[0x0112] = 6
    sink = io.BytesIO()
    turned.save(sink, "PNG", exif=exif)
    upright = Preprocessing(side=40).pixels(sink.getvalue())
    assert upright[20].min() > 240
    assert upright[2].max() < 20


def test_unreadable_pictures_are_skipped_and_counted(tmp_path):
    spec = write(tmp_path, hyperparameters=HEAD)
    table = pq.read_table(spec.data).to_pydict()
    table["image"][0], table["label"][1] = b"broken", None
    pq.write_table(pa.table(table), spec.data)
    job, loaded = prepared(spec)
    assert loaded.train_rows == 16
    assert "1 row has no readable picture: skipped." in loaded.warnings
    assert "1 row has no label: skipped." in loaded.warnings
    assert job.images.pixels.shape == (34, 32, 32, 3)
    assert 0 not in job.images.rows


def test_a_label_without_training_images_is_refused_by_name(tmp_path):
    spec = write(tmp_path)
    table = pq.read_table(spec.data).to_pydict()
    table["split"] = [
        "test" if label == "green" else split
        for label, split in zip(table["label"], table["split"], strict=True)
    ]
    pq.write_table(pa.table(table), spec.data)
    with pytest.raises(BadTrainingData, match="'green' has no training pictures"):
        prepared(spec)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_column": "file"}, "holds no pictures"),
        ({"image_column": "absent"}, "no column 'absent'"),
        ({"target_column": "file"}, "different labels"),
    ],
)
def test_useless_data_is_refused_with_a_sentence(tmp_path, change, said):
    with pytest.raises(BadTrainingData, match=said):
        prepared(write(tmp_path, **change))


def test_a_picture_size_that_no_network_takes_is_refused_by_name():
    with pytest.raises(ValueError, match="image_size"):
        parse_spec(
            {
                "task": "image-classification",
                "image_column": "a",
                "target_column": "b",
                "data": "d",
                "output": "o",
                "work": "w",
                "hyperparameters": {"image_size": 37},
            }
        )


def test_the_small_networks_are_as_large_as_the_catalog_says():
    from engine.tasks.image.base_models import BaseImageModel

    for name in ("small-resnet", "small-vit"):
        entry = catalog.get_base_model(name)
        backbone = BaseImageModel(entry, 0, lambda: None).build_backbone()
        count = sum(one.numel() for one in backbone.parameters())
        assert count == pytest.approx(entry.parameters, rel=0.05)


@same_worker
def test_mirror_images_are_predicted_too(head_job):
    model = serving.load_model(head_job.output)
    pixels = coloured("red", 5)
    one, mirrored = model.answer([encoded(pixels), encoded(pixels[:, ::-1].copy())])
    assert one["probability"] == pytest.approx(mirrored["probability"], abs=1e-3)


def test_a_cropped_look_says_which_part_of_the_picture_it_covers():
    look = Preprocessing(fit="crop", side=224, resize=256)
    assert look.visible_region(512, 512) == pytest.approx((1 / 16, 1 / 16, 7 / 8, 7 / 8))
    left, top, width, height = look.visible_region(1024, 512)
    assert (width, height) == pytest.approx((7 / 16, 7 / 8))
    assert (left, top) == pytest.approx((9 / 32, 1 / 16))
    assert Preprocessing(side=96).visible_region(3, 9) == (0, 0, 1, 1)


def _export(spec, tmp_path, **options):
    made = spec.model_copy(
        update={
            "output": tmp_path / "made",
            "work": tmp_path / "made-work",
            "export": ExportSpec(source=spec.output, largest_loss=0.5, **options),
        }
    )
    run(made)
    return artifact.verify(made.output), report_of(made)["card"]


@pytest.mark.slow
def test_a_finished_image_model_becomes_one_file_tested_beside_it(tmp_path):
    spec = write(tmp_path, hyperparameters=QUICK | {"method": "full"})
    run(spec)
    whole = artifact.verify(spec.output)
    for form, file, other in [
        ("onnx", "model.onnx", "model.int8.onnx"),
        ("onnx-int8", "model.int8.onnx", "model.onnx"),
    ]:
        manifest, card = _export(spec, tmp_path, format=form)
        assert manifest.serving.file == file
        assert manifest.serving.inputs == whole.serving.inputs
        assert other not in manifest.files
        assert card["rows"] == 9
        assert card["agreement"] >= 8 / 9
        (answer,) = serving.load_model(tmp_path / "made").answer([photos(1)["red", 0]])
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    weights = [folder / "network.safetensors" for folder in (spec.output, tmp_path / "made")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@same_worker
def test_a_broken_or_needless_export_is_refused_and_leaves_nothing(head_job, tmp_path, monkeypatch):
    spec = head_job
    with pytest.raises(ExportRefused, match="eight bits"):
        _export(spec, tmp_path, format="onnx-int8")

    def broken(network, *rest, **named):
        with torch.no_grad():
            next(iter(network.members.values())).head.bias[0] += 1
        return write_traced(network, *rest, **named)

    monkeypatch.setattr(exporting, "write_traced", broken)
    with pytest.raises(BrokenExport, match="does not compute"):
        _export(spec, tmp_path, format="onnx")
    assert not (tmp_path / "made").exists()
    assert artifact.verify(spec.output)


@pytest.mark.nightly
def test_a_search_on_images_trains_its_winner_and_embeds_rows_once(tmp_path, monkeypatch):
    asked = []
    real = fit.compute_outputs

    def counted(network, pixels, *rest, **named):
        if isinstance(network, FeatureExtractor):
            asked.append((len(pixels), named.get("mirror", False)))
        return real(network, pixels, *rest, **named)

    monkeypatch.setattr(fit, "compute_outputs", counted)
    spec = write(tmp_path, search={"trials": 3, "parameters": ["learning_rate"]})
    _, events = run(spec)
    trials = {one.number: one for one in events if isinstance(one, TrialUpdated)}
    assert set(trials) == {0, 1, 2}
    search = artifact.read_manifest(spec.output).training["search"]
    assert search["score"] == min(one.score for one in trials.values() if one.score is not None)
    # The training rows once for all trials, and with the validation rows for the final layer.
    assert sorted(asked) in (
        [(18, False), (18, True)],
        [(18, False), (18, True), (27, False), (27, True)],
    )
    with pytest.raises(BadTrainingData, match="needs a method that trains in steps"):
        run(write(tmp_path, hyperparameters=QUICK | {"method": "head"}, search={"trials": 2}))


@pytest.mark.slow
def test_by_default_pictures_are_read_with_pretrained_features(tmp_path):
    """With a dozen pictures a label, frozen features and a linear layer; served as tested."""
    spec = write(tmp_path, name="pretrained", base_model="efficientnet-lite0", hyperparameters={})
    run(spec)
    manifest = artifact.verify(spec.output)
    report = json.loads((spec.output / "report.json").read_text())
    assert manifest.training["method"] == "head"
    assert manifest.inputs.image_size == (128, 128)
    accuracy = next(one for one in report["metrics"] if one["name"] == "accuracy")
    assert accuracy["value"] > 0.8
    pictures = pq.read_table(spec.data)["image"].to_pylist()[:3]
    served = serving.load_model(spec.output)
    together = served.answer(pictures)
    alone = [served.answer([picture])[0] for picture in pictures]
    assert [one["label"] for one in together] == [one["label"] for one in alone]
