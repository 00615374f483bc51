"""A backup holds everything, a restore brings everything back, and half of one is refused."""

import json
import re
import subprocess
import sys

import httpx
import psycopg
import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from config.backup import manifest, objects, saving, secrets
from config.backup.errors import BackupError
from config.backup.restoring import restore
from projects import storage
from tests.config.backup.conftest import contents, processes_environment
from tests.inference.processes import PROJECT, free_port, wait_until_healthy

needs_commits = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.mark.nightly
@needs_commits
def test_an_empty_installation_becomes_the_copy_of_the_saved_one(
    filled, database_url, empty_database_url, use_empty_storage, tmp_path
):
    made = saving.save(database_url, tmp_path / "backups")
    before = {key: default_storage.open(key).read() for key in storage.iter_files()}
    assert any(key.startswith(filled.model.artifact_key) for key in before)
    use_empty_storage()
    restore(empty_database_url, made)
    saved, restored = contents(database_url), contents(empty_database_url)
    assert saved == restored
    for table in ("accounts_user", "training_trainedmodel", "billing_ledgerentry"):
        assert restored[table]
    assert {key: default_storage.open(key).read() for key in storage.iter_files()} == before
    with pytest.raises(BackupError, match="is not empty"):  # A second one overwrites nothing.
        restore(empty_database_url, made)
    with psycopg.connect(empty_database_url) as link, pytest.raises(psycopg.Error):
        link.execute("UPDATE billing_ledgerentry SET amount_micro = 0")  # Still refused.
    _refuses_what_is_not_whole(made, empty_database_url)
    _refuses_other_keys_and_newer_code(made, database_url)


def _refuses_what_is_not_whole(made, url):
    facts = (made / "manifest.json").read_text()
    for path in [path for path in made.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(BackupError, match="not whole|no whole"):
            restore(url, made)
        path.write_bytes(whole + b" ")
        if path.name != "manifest.json":
            with pytest.raises(BackupError, match="damaged"):
                restore(url, made)
        path.write_bytes(whole)
    assert (made / "manifest.json").read_text() == facts


def _refuses_other_keys_and_newer_code(made, url):
    path = made / "manifest.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"migrations": [*whole["migrations"], "web.9999_later"]}))
    with pytest.raises(BackupError, match="newer Lathe"):
        restore(url, made)
    path.write_text(json.dumps(whole))
    contents = manifest.load_verified(made)
    contents.secret_key_fingerprint = "0"
    with pytest.raises(BackupError, match="another SECRET_KEY"):
        secrets.take_over_secret_key(made, contents)


@pytest.mark.slow
@needs_commits
def test_secrets_are_named_and_copied_only_when_asked_for(
    database_url, tmp_path, monkeypatch, settings
):
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_of_mine")
    plain = saving.save(database_url, tmp_path / "one")
    assert "STRIPE_SECRET_KEY" in manifest.load_verified(plain).secrets
    everything = b"".join(path.read_bytes() for path in plain.rglob("*") if path.is_file())
    assert b"sk_test_of_mine" not in everything
    assert settings.SECRET_KEY.encode() not in everything
    folder = saving.save(database_url, tmp_path / "two", with_secrets=True)
    assert "STRIPE_SECRET_KEY=sk_test_of_mine" in (folder / "secrets.env").read_text()
    assert (folder / "secrets.env").stat().st_mode & 0o077 == 0
    # Into an installation with a key of its own making: it takes the backup's.
    monkeypatch.delenv("SECRET_KEY", raising=False)
    settings.SECRET_KEY, old = "made by make up", settings.SECRET_KEY
    assert secrets.take_over_secret_key(folder, manifest.load_verified(folder))
    assert (settings.VAR_DIR / "secret_key").read_text() == old
    with pytest.raises(BackupError, match="another SECRET_KEY"):
        secrets.take_over_secret_key(plain, manifest.load_verified(plain))


def test_every_setting_that_sounds_like_a_secret_is_one():
    names = re.findall(r"^# ([A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    sounds = [name for name in names if re.search("SECRET|PASSWORD|TOKEN$|_KEY$|DSN", name)]
    assert "STRIPE_SECRET_KEY" in sounds
    assert set(sounds) <= set(secrets.SECRET_SETTINGS)


def test_a_file_stored_while_the_database_is_dumped_is_saved_and_one_deleted_stays(tmp_path):
    for name in ("stays", "goes"):
        default_storage.save(f"backup-test/{name}", ContentFile(name.encode()))
    copy = objects.ObjectsCopy(tmp_path / "objects")
    copy.copy_new_files()
    default_storage.delete("backup-test/goes")
    default_storage.save("backup-test/stays", ContentFile(b"written again"))
    default_storage.save("backup-test/later", ContentFile(b"later"))
    copy.copy_new_files()
    saved = {key: (tmp_path / "objects" / key).read_bytes() for key in copy.files}
    mine = {key: value for key, value in saved.items() if key.startswith("backup-test/")}
    assert mine == {
        "backup-test/stays": b"written again",
        "backup-test/goes": b"goes",
        "backup-test/later": b"later",
    }
    storage.delete("backup-test")


def test_a_backup_that_fails_leaves_nothing_that_looks_like_one(tmp_path):
    with pytest.raises(BackupError, match="does not answer"):
        saving.save("postgresql://nobody@127.0.0.1:1/none", tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


@needs_commits
@pytest.mark.nightly
def test_the_commands_restore_a_product_whose_model_answers(
    filled, token, database_url, empty_database_url, tmp_path
):
    def manage(*arguments, url, place):
        return subprocess.run(
            [sys.executable, "manage.py", *map(str, arguments)],
            cwd=PROJECT, env=processes_environment(url, place), capture_output=True, text=True,
        )  # fmt: skip

    made = manage("backup", tmp_path / "backups", url=database_url, place=settings.STORAGE_URL)
    assert made.returncode == 0, made.stderr
    assert "SECRET_KEY" in made.stderr
    place = f"file://{tmp_path}/restored"
    done = manage("restore", made.stdout.strip(), url=empty_database_url, place=place)
    assert done.returncode == 0, done.stderr
    again = manage("restore", made.stdout.strip(), url=empty_database_url, place=place)
    assert again.returncode == 1
    assert "not empty" in again.stderr
    assert "Traceback" not in again.stderr
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve_models", "--port", str(port)],
        cwd=PROJECT, env=processes_environment(empty_database_url, place),
    )  # fmt: skip
    try:
        wait_until_healthy(port, process)
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/classify",
            json={"model": "intents", "input": "my card"},
            headers={"authorization": f"Bearer {token.secret}"},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"][0]["label"] == "card"
    finally:
        process.terminate()
        process.wait(60)
