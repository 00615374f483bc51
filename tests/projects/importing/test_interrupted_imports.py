"""Imports that something outside ended: read again in a fresh folder, then given up."""

import gzip
import json
import os
import signal
import sys
import textwrap
import threading
import time

import pytest
from django.conf import settings
from django.utils.timezone import now

from projects import storage
from projects.importing import imports
from projects.importing.import_claim import ImportClaim, pending_imports
from projects.importing.uploads import receive_upload
from projects.models import DatasetVersion, ImportStatus
from tests.projects.importing.test_imports import TABLE
from web import child_process

pytestmark = pytest.mark.django_db
# Read in the child before the importer: it notes what lies in its folder, and spoils some runs.
CHILD = """
import json, os, pathlib, signal, sys
order = pathlib.Path(sys.argv[1])
seen = pathlib.Path({seen!r})
runs = json.loads(seen.read_text()) if seen.exists() else []
runs.append([str(order.parent), sorted(one.name for one in order.parent.iterdir())])
seen.write_text(json.dumps(runs))
from projects.importing import import_process

def spoil(*_):
    for name in ("data.parquet", "rejects.csv", "unpacked"):
        left = order.parent / name
        content = left.read_bytes() if left.exists() else b"x,y\\n1,2\\n"
        left.write_bytes(content[: len(content) // 2])
    os.kill(os.getpid(), {signal})

if len(runs) <= {spoilt}:
    import_process.profile_table = spoil
import_process.main(sys.argv[1])
"""


@pytest.fixture
def spoil(monkeypatch, tmp_path):
    """Let so many runs of the child end by a signal, when their table is written and not yet
    profiled; returns what each run found."""

    def spoil_runs(spoilt, ended_by=signal.SIGKILL):
        script, seen = tmp_path / "child.py", tmp_path / "seen.json"
        code = CHILD.format(seen=str(seen), signal=int(ended_by), spoilt=spoilt)
        script.write_text(textwrap.dedent(code))
        run = child_process.run

        def run_script(command, **options):
            return run([sys.executable, str(script), command[-1]], **options)

        monkeypatch.setattr(child_process, "run", run_script)
        monkeypatch.setenv("PYTHONPATH", str(settings.BASE_DIR))
        monkeypatch.setattr(imports, "REREAD_PAUSE", imports.datetime.timedelta(0))
        return lambda: json.loads(seen.read_text())

    return spoil_runs


def receive(project, content=TABLE, filename="x.csv"):
    return receive_upload(project=project, filename=filename, chunks=[content], by=None).version


def read_until_done(version):
    """Deliver messages as beat does, until the import has ended; how many it took."""
    for count in range(1, 10):
        imports.import_version(version.pk)
        version.refresh_from_db()
        if version.status != ImportStatus.IMPORTING:
            return count
    raise AssertionError("It never ended.")


def outcome(version):
    facts = ("rows", "rejected_rows", "columns", "dialect", "profile", "issues", "content_sha256")
    with storage.open_file(version.parquet_key) as file:
        return [getattr(version, fact) for fact in facts], file.read()


@pytest.mark.parametrize(
    "ended_by", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    ("content", "filename"),
    [(TABLE, "x.csv"), (gzip.compress(TABLE), "x.csv.gz")],
    ids=["csv", "gz"],
)
def test_a_killed_import_is_read_again_as_if_nothing_had_been(
    project, spoil, content, filename, ended_by
):
    undisturbed = receive(project, content, filename)
    assert read_until_done(undisturbed) == 1
    runs = spoil(2, ended_by)
    version = receive(project, content, filename)
    assert read_until_done(version) == 3
    assert version.status == ImportStatus.READY
    assert outcome(version) == outcome(undisturbed)
    folders = [folder for folder, _ in runs()]
    assert len(set(folders)) == 3
    assert all(found == ["order.json", "upload"] for _, found in runs())
    assert not any(map(os.path.exists, folders))
    assert len(storage.list_folders(f"datasets/{version.pk}")) == 1


def test_an_import_that_is_killed_every_time_is_given_up_with_what_is_known(project, spoil):
    runs = spoil(9)
    version = receive(project)
    assert read_until_done(version) == imports.MAX_REREADS + 1
    assert len(runs()) == imports.MAX_REREADS + 1
    assert (version.status, version.failure_code) == (ImportStatus.FAILED, "interrupted")
    assert "ended from outside 3 times" in version.failure_sentence
    assert "more memory than an import may use" not in version.failure_sentence
    assert storage.list_folders(f"datasets/{version.pk}") == []


def test_a_limit_of_memory_is_no_interruption(project, monkeypatch):
    monkeypatch.setattr(imports, "MEMORY_LIMIT_BYTES", 96 * 1024**2)
    version = receive(project)
    assert read_until_done(version) == 1
    assert version.failure_code in ("out_of_memory", "crashed")
    assert "outside" not in version.failure_sentence


def test_a_child_killed_by_somebody_else_leaves_its_import_waiting_for_a_while(
    project, monkeypatch, tmp_path
):
    """The signal comes from another thread, while the child sleeps in the middle of its work."""
    script, pid = tmp_path / "child.py", tmp_path / "pid"
    script.write_text(
        f"import os, time; open({str(pid)!r} + '.part', 'w').write(str(os.getpid()));"
        f" os.rename({str(pid)!r} + '.part', {str(pid)!r}); time.sleep(60)"
    )
    run = child_process.run
    with monkeypatch.context() as asleep:
        asleep.setattr(
            child_process,
            "run",
            lambda command, **options: run([sys.executable, str(script)], **options),
        )

        def kill():
            while not pid.exists():
                time.sleep(0.01)
            os.kill(int(pid.read_text()), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        version = receive(project)
        assert imports.import_version(version.pk) is False
        killer.join()
    version.refresh_from_db()
    assert version.status == ImportStatus.IMPORTING
    assert now() < version.claimed_until <= now() + imports.REREAD_PAUSE
    assert not pending_imports().exists()
    DatasetVersion.objects.update(claimed_until=now() - imports.REREAD_PAUSE)
    assert imports.import_version(version.pk) is True
    version.refresh_from_db()
    assert (version.status, version.rows, version.interruptions) == (ImportStatus.READY, 60, 1)


def test_readings_that_take_their_workers_with_them_end_too(project):
    """A machine that runs out of memory may kill the worker as well: only its claim tells."""
    version = receive(project)
    for _ in range(imports.MAX_REREADS + 1):
        assert ImportClaim.take(version.pk) is not None
        DatasetVersion.objects.update(claimed_until=now() - imports.REREAD_PAUSE)
    assert read_until_done(version) == 1
    assert version.failure_code == "interrupted"


def test_folders_of_dead_workers_are_deleted_and_those_of_others_are_not(project):
    scratch = settings.VAR_DIR / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    old, fresh = scratch / "import-old", scratch / "import-fresh"
    for folder in (old, fresh):
        folder.mkdir(exist_ok=True)
        (folder / "upload").write_bytes(b"x")
    long_ago = time.time() - 2 * imports.ABANDONED_SECONDS
    os.utime(old, (long_ago, long_ago))
    try:
        assert read_until_done(receive(project)) == 1
        assert not old.exists()
        assert (fresh / "upload").exists()
    finally:
        imports.shutil.rmtree(fresh)
