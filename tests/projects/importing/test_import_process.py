"""The child that reads a stranger's file: what it knows, what it may use, what is left of it."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from django.conf import settings

from projects import storage
from projects.importing import import_process, imports
from projects.importing.import_claim import ImportClaim
from projects.importing.uploads import receive_upload, reimport
from projects.models import ImportStatus
from tests.projects.importing.test_imports import TABLE
from web import child_process

SECRETS = [
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SECRET_KEY_FILE",
    "DATABASE_URL",
    "REDIS_URL",
    "BROKER_URL",
    "STORAGE_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRETS",
    "EMAIL_HOST_PASSWORD",
    "HF_TOKEN",
]


@pytest.fixture
def quick_child():
    """Not here: these tests are about the real child."""


@pytest.fixture
def claim(project):
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    return ImportClaim.take(version.pk)


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Let the child run this code in the place of the importer."""

    def replace(code):
        script = tmp_path / "child.py"
        script.write_text(textwrap.dedent(code))
        run = child_process.run

        def run_script(command, **options):
            return run([sys.executable, str(script), command[-1]], **options)

        monkeypatch.setattr(child_process, "run", run_script)

    return replace


def test_no_secret_reaches_the_child(claim, stand_in, tmp_path, monkeypatch):
    for name in SECRETS:
        monkeypatch.setenv(name, "very-private")
    stand_in(
        "import os, sys; open(sys.argv[1], 'wb').write(open('/proc/self/environ', 'rb').read())"
    )
    finished = imports._run_child_process(claim, tmp_path / "environment")
    assert finished.returncode == 0
    environment = (tmp_path / "environment").read_bytes()
    assert b"PATH=" in environment
    assert b"very-private" not in environment


def test_the_child_cannot_take_more_memory_than_its_limit(claim, stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(imports, "MEMORY_LIMIT_BYTES", 512 * 1024**2)
    stand_in("x = bytearray(1024**3)")
    finished = imports._run_child_process(claim, tmp_path / "order")
    answer = imports._load_answer(tmp_path, finished)
    assert answer["failure"]["code"] == "out_of_memory"


def test_a_child_that_takes_too_long_is_ended(claim, stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(imports, "TIMEOUT_SECONDS", 0.3)
    stand_in("import time; time.sleep(60)")
    finished = imports._run_child_process(claim, tmp_path / "order")
    assert imports._load_answer(tmp_path, finished)["failure"]["code"] == "time_limit"


def test_only_the_end_of_a_childs_log_is_kept(claim, stand_in, tmp_path):
    stand_in("import sys; sys.stderr.write('x' * 1_000_000 + 'the end'); sys.exit(1)")
    finished = imports._run_child_process(claim, tmp_path / "order")
    assert len(finished.stderr) == imports.MAX_LOG_BYTES
    assert finished.stderr.endswith("the end")


def test_a_child_whose_claim_is_lost_is_ended_at_once(claim, stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(imports, "CLAIM_RENEWAL_SECONDS", 0.05)
    stand_in(
        """
        import os, sys, time
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(60)
        """
    )
    monkeypatch.setattr(ImportClaim, "renew", _lose_once_written(tmp_path / "pid"))
    with pytest.raises(imports.StaleImportState):
        imports._run_child_process(claim, tmp_path / "pid")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def _lose_once_written(path):
    def renew(_):
        if path.exists() and path.read_text():
            raise imports.StaleImportState

    return renew


def scratch_folders():
    return list((settings.VAR_DIR / "scratch").glob("import-*"))


@pytest.mark.slow
def test_a_full_disk_while_reading_fails_the_import_and_leaves_nothing(
    bring_in, monkeypatch, alice, caplog
):
    fetch = storage.fetch_file

    def fetch_to_full_disk(key, path):
        fetch(key, path)
        (path.parent / "rejects.csv").symlink_to("/dev/full")  # Every write: ENOSPC.

    with monkeypatch.context() as full:
        full.setattr(storage, "fetch_file", fetch_to_full_disk)
        version = bring_in(TABLE)
    assert (version.status, version.failure_code) == (ImportStatus.FAILED, "internal")
    assert "No space left" in caplog.text
    assert "No space left" not in version.failure_sentence
    assert scratch_folders() == []
    assert storage.list_folders(f"datasets/{version.pk}") == []
    successor = reimport(version, {}, alice)
    assert imports.import_version(successor.pk) is True
    successor.refresh_from_db()
    assert successor.status == ImportStatus.READY


@pytest.mark.parametrize("failing", ["data.parquet", "rejects.csv"])
def test_a_storage_that_refuses_the_table_fails_the_import_and_keeps_no_part(
    bring_in, monkeypatch, failing
):
    put = storage.put_file

    def put_or_fail(key, path):
        if key.endswith(failing):
            raise OSError(28, "No space left on device")
        put(key, path)

    monkeypatch.setattr(storage, "put_file", put_or_fail)
    version = bring_in(TABLE)
    assert (version.status, version.failure_code) == (ImportStatus.FAILED, "internal")
    assert (version.parquet_key, version.rejects_key) == ("", "")
    assert storage.list_folders(f"datasets/{version.pk}") == []
    assert scratch_folders() == []


def test_an_upload_that_is_gone_from_storage_fails_the_import(bring_in, project):
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    storage.delete(version.upload_key)
    assert imports.import_version(version.pk) is True
    version.refresh_from_db()
    assert version.failure_code == "internal"
    assert scratch_folders() == []


def test_a_file_that_takes_too_much_work_is_given_up_with_a_sentence(project, stand_in):
    """The kernel ends the child at its limit of processor time."""
    stand_in(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_CPU, (1, 5))
        while True:
            pass
        """
    )
    version = receive_upload(project=project, filename="x.csv", chunks=[TABLE], by=None).version
    imports.import_version(version.pk)
    version.refresh_from_db()
    assert version.failure_code == "time_limit"
    assert "more work" in version.failure_sentence


def test_the_child_bounds_its_own_processor_time(monkeypatch, tmp_path):
    limits = {}
    monkeypatch.setattr(
        import_process.resource, "setrlimit", lambda kind, limit: limits.update({kind: limit})
    )
    monkeypatch.setattr(import_process, "carry_out", lambda order, folder: {})
    (tmp_path / "order.json").write_text("{}")
    import_process.main(str(tmp_path / "order.json"))
    soft, hard = limits[import_process.resource.RLIMIT_CPU]
    assert soft < hard <= 3600


def test_a_small_table_is_read_without_pandas_which_takes_longer_to_load(tmp_path):
    (tmp_path / "upload").write_text("note,price\nloud bell,4.25\nsoft bell,3.75\n")
    code = (
        "import json, sys; from pathlib import Path; from projects.importing import import_process;"
        " folder = Path(sys.argv[1]); order = {'upload': sys.argv[1] + '/upload', 'filename':"
        " 'x.csv', 'overrides': {}}; answer = import_process.carry_out(order, folder);"
        " print(json.dumps([answer['table']['rows'], 'pandas' in sys.modules]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, text=True
    )
    assert json.loads(finished.stdout) == [2, False]
