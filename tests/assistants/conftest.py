"""An FAQ of the generator's, an assistant that learned it, and a version that is live."""

import base64
import fcntl
import hashlib
import io
import json
import os
import shutil
import uuid
from pathlib import Path
from types import SimpleNamespace

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils.timezone import now

from assistants.answering import embedder
from assistants.conversations import bursts
from assistants.demo_data import COLUMNS, generate_faq
from assistants.knowledge.importing import Mapping, add_source
from assistants.lifecycle import create_assistant
from assistants.models import Version
from assistants.versions import building, gate
from engine.answering.sentence_encoder import SentenceEncoder
from inference.gateway import internal_token
from projects.models import Dataset, DatasetVersion, ImportStatus
from web import child_process


@pytest.fixture(scope="session")
def all_measured(tmp_path_factory) -> Path:
    """What was measured in this run of the tests, by the digest of its order; of all workers."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "all_measured"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def measure_once(monkeypatch, all_measured):
    """The same order is measured by a real child process once; later tests get its files."""
    run = building.child_process.run

    def run_once(command, **options):
        folder = Path(command[-1])
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        ordered = b"".join(path.read_bytes() for path in files if "manifest" not in path.name)
        measured = all_measured / hashlib.sha256(ordered).hexdigest()
        with open(f"{measured}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # Another worker may be measuring it.
            if not measured.is_dir():
                finished = run(command, **options)
                if finished.returncode != 0:
                    return finished
                shutil.copytree(folder, f"{measured}.unfinished")
                os.rename(f"{measured}.unfinished", measured)
        shutil.copytree(measured, folder, dirs_exist_ok=True)
        return child_process.Finished(0, "", "")

    monkeypatch.setattr(building, "child_process", SimpleNamespace(run=run_once))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Nobody waits for a visitor to write more, but in the tests of bursts."""
    monkeypatch.setattr(bursts, "BURST_SECONDS", 0.0)


@pytest.fixture(scope="session")
def models_client() -> httpx.Client:
    """Answers as the models process does, with its own encoder."""
    encoder = SentenceEncoder()

    def answer(request: httpx.Request) -> httpx.Response:
        assert internal_token.verify_token(request.headers[internal_token.HEADER])
        sent = json.loads(request.content)
        rows = encoder.embed(sent["input"])
        data = [{"embedding": base64.b64encode(row.tobytes()).decode()} for row in rows]
        return httpx.Response(200, json={"data": data})

    return httpx.Client(base_url="http://models", transport=httpx.MockTransport(answer))


@pytest.fixture(autouse=True)
def models_answer(monkeypatch, models_client):
    """Questions are embedded without a models process; the widget's test has a real one."""
    monkeypatch.setattr(embedder, "_client", models_client)


MAPPING = Mapping("question", "topic", "answer")


def store_table(project, columns, rows) -> Dataset:
    """A ready dataset version of these rows, as an import leaves it."""
    dataset = Dataset.objects.create(project=project, name="faq.csv")
    table = pa.table({name: [row[n] for row in rows] for n, name in enumerate(columns)})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    pk = uuid.uuid4()
    key = f"datasets/{pk}/data.parquet"
    default_storage.save(key, ContentFile(sink.getvalue()))
    DatasetVersion.objects.create(
        pk=pk, dataset=dataset, number=1, filename="faq.csv", upload_key=f"uploads/{pk}",
        upload_bytes=1, upload_sha256="0" * 64, status=ImportStatus.READY, rows=len(rows),
        rejected_rows=0, parquet_key=key, finished_at=now(),
        columns=[{"name": name, "type": "text", "original_name": name} for name in columns],
    )  # fmt: skip
    return dataset


@pytest.fixture
def faq(project) -> Dataset:
    rows = [(row.question, row.topic, row.answer) for row in generate_faq(8, seed=1)]
    return store_table(project, COLUMNS, rows)


@pytest.fixture
def assistant(project, alice):
    return create_assistant(project, "shop-help", alice, promise=0.9, out_of_scope_share=0.15)


@pytest.fixture
def taught(assistant, faq, alice):
    """An assistant with answers and phrasings, nothing measured."""
    add_source(assistant, faq, MAPPING, alice)
    return assistant


@pytest.fixture
def measured(taught, alice) -> Version:
    version = building.create_version(taught, alice)
    assert building.build_pending() == 1
    version.refresh_from_db()
    assert version.status == "measured", version.failure_sentence
    return version


@pytest.fixture
def live(measured, alice) -> Version:
    gate.publish(measured, alice)
    measured.assistant.refresh_from_db()
    return measured


WORDS = (
    "kayaks tents ropes stoves lamps maps boots axes gloves helmets skis sledges saddles oars"
    " paddles anchors sails compasses whistles hammocks blankets flasks binoculars backpacks"
)
SUBJECTS = WORDS.split()
RULE = (
    "The warehouse in Rotterdam stores {0}. Hand {0} to the harbour master before the tide turns."
)


@pytest.fixture
def handbook(project):
    rows = [(name.capitalize(), RULE.format(name)) for name in SUBJECTS]
    return store_table(project, ("heading", "text"), rows)


@pytest.fixture
def documented(taught, alice, api, token, handbook) -> Version:
    """A live version whose handbook was added over the API."""
    added = api(token).post(
        f"/api/v1/assistants/{taught.pk}/sources",
        {"dataset": str(handbook.pk), "text_column": "text"},
    )
    assert (added.status_code, added.json()["passages"]) == (201, len(SUBJECTS)), added.content
    version = building.create_version(taught, alice)
    assert building.build_pending() == 1
    version.refresh_from_db()
    gate.publish(version, alice)
    taught.refresh_from_db()
    return version
