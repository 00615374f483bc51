"""Real photos from upload to a tested model: imported, launched with what is suggested, trained."""

import json
from pathlib import Path

import pytest
from django.conf import settings

from engine.events import Reporter
from engine.pipeline import run_job
from engine.spec import parse_spec
from engine.stop_signal import StopSignal
from projects import storage
from projects.importing import imports
from projects.importing.uploads import receive_upload
from training.jobs.launch import LaunchRequest, launch

PHOTOS = Path(settings.BASE_DIR).parent / "shared/data/clothing_images/clothing_4_classes.zip"
BASELINE = 0.60  # Logistic regression on 32 by 32 pixels, as the data's own notes say.


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.exists(), reason="the clothing photos are not here")
def test_forty_photos_a_label_teach_well_above_the_baseline(project, alice, tmp_path):
    came = receive_upload(project=project, filename="c.zip", chunks=[PHOTOS.read_bytes()], by=alice)
    imports.import_version(came.version.pk)
    came.version.refresh_from_db()
    request = LaunchRequest(hyperparameters={"method": "head"})
    job = launch(dataset_version=came.version, user=alice, request=request, viewer=alice)
    assert job.task == "image-classification"
    assert job.recipe["split_column"] == "split"
    storage.fetch_file(came.version.parquet_key, tmp_path / "data.parquet")
    places = {"data": tmp_path / "data.parquet", "output": tmp_path / "out", "work": tmp_path / "w"}
    result = run_job(parse_spec(job.recipe | places), Reporter(lambda line: None), StopSignal())
    assert result.metrics["accuracy"] > BASELINE + 0.2
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["data"]["test_rows"] == 40
