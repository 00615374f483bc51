"""Files and folders on a local disk and on S3 behave alike."""

import datetime
import json
import runpy

import boto3
import pytest
from django.conf import settings
from django.core.files.storage import default_storage, storages
from django.test import override_settings
from django.utils.timezone import now
from moto import mock_aws

from projects import storage


@pytest.fixture(autouse=True, params=["disk", "s3"])
def backend(request, monkeypatch):
    """The default storage as STORAGE_URL sets it: file:// of all tests, or a bucket's folder."""
    if request.param == "disk":
        yield "disk"
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with (
        mock_aws(),
        override_settings(STORAGES=storages_of("s3://lathe/inner/folder", monkeypatch)),
    ):
        boto3.client("s3").create_bucket(Bucket="lathe")
        yield "s3"


def storages_of(url, monkeypatch):
    """What the settings make of a STORAGE_URL."""
    with monkeypatch.context() as environment:
        environment.setenv("STORAGE_URL", url)
        return runpy.run_path(str(settings.BASE_DIR / "config" / "settings.py"))["STORAGES"]


def keys_in_bucket():
    listed = boto3.client("s3").list_objects_v2(Bucket="lathe").get("Contents", [])
    return sorted(entry["Key"] for entry in listed)


def put(key, content=b"content", tmp_path=None):
    path = tmp_path / "source"
    path.write_bytes(content)
    storage.put_file(key, path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "artifact"
    (root / "deep").mkdir(parents=True)
    (root / "weights.bin").write_bytes(b"\0" * 5000)
    (root / "deep" / "labels.json").write_text('["a"]')
    (root / "manifest.json").write_text(json.dumps({"whole": True}))
    return root


def test_a_folder_comes_back_as_it_was(folder, tmp_path):
    storage.put_folder("artifacts/one/", folder)
    storage.fetch_folder("artifacts/one", tmp_path / "copy")
    assert (tmp_path / "copy" / "deep" / "labels.json").read_text() == '["a"]'
    assert (tmp_path / "copy" / "weights.bin").read_bytes() == b"\0" * 5000
    assert (tmp_path / "copy" / "manifest.json").exists()


def test_a_folder_without_manifest_is_not_stored(tmp_path):
    with pytest.raises(FileNotFoundError):
        storage.put_folder("artifacts/none", tmp_path)


def test_an_unfinished_folder_is_refused_and_leaves_nothing_behind(folder, tmp_path):
    storage.put_folder("artifacts/two", folder)
    storage.delete("artifacts/two/manifest.json")
    with pytest.raises(storage.IncompleteFolder):
        storage.fetch_folder("artifacts/two", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_damaged_file_is_noticed(folder, tmp_path):
    storage.put_folder("artifacts/three", folder)
    (tmp_path / "other").write_bytes(b"\1" * 5000)
    storage.put_file("artifacts/three/weights.bin", tmp_path / "other")
    with pytest.raises(storage.IncompleteFolder, match="damaged"):
        storage.fetch_folder("artifacts/three", tmp_path / "copy")


def test_deleting_takes_the_whole_folder_and_is_repeatable(folder):
    storage.put_folder("artifacts/four", folder)
    storage.delete("artifacts/four/")
    storage.delete("artifacts/four/")
    assert not storage.exists("artifacts/four/manifest.json")
    assert not storage.exists("artifacts/four/deep/labels.json")


def test_a_file_is_replaced_not_renamed(tmp_path):
    for content in (b"first, longer", b"second"):
        (tmp_path / "file").write_bytes(content)
        storage.put_file("uploads/five", tmp_path / "file")
    with storage.open_file("uploads/five") as stored:
        assert stored.read() == b"second"


def test_the_url_says_bucket_and_folder(backend, tmp_path):
    put("uploads/six", tmp_path=tmp_path)
    if backend == "s3":
        assert keys_in_bucket() == ["inner/folder/uploads/six"]
    else:
        assert (settings.VAR_DIR / "storage" / "uploads" / "six").is_file()


def test_a_file_is_fetched_whole_or_not_at_all(tmp_path):
    content = bytes(range(256)) * 10_000  # More than one chunk.
    put("uploads/seven", content, tmp_path)
    storage.fetch_file("uploads/seven", tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == content
    with pytest.raises(FileNotFoundError):
        storage.fetch_file("uploads/none", tmp_path / "deep" / "other")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["copy"]


def test_an_absent_file_cannot_be_opened():
    with pytest.raises(FileNotFoundError):
        storage.open_file("uploads/none").read()
    assert not storage.exists("uploads/none")


@pytest.mark.slow
def test_a_file_missing_from_a_stored_folder_is_noticed(folder, tmp_path):
    storage.put_folder("artifacts/eight", folder)
    default_storage.delete("artifacts/eight/weights.bin")
    with pytest.raises(storage.IncompleteFolder, match="missing"):
        storage.fetch_folder("artifacts/eight", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_manifest_is_stored_last_and_deleted_first(folder, monkeypatch):
    backend, order = type(storages["default"]), []
    save, delete = backend.save, backend.delete

    def save_noting(self, name, *arguments, **options):
        order.append(name)
        return save(self, name, *arguments, **options)

    def delete_noting(self, name):
        order.append(name)
        return delete(self, name)

    monkeypatch.setattr(backend, "save", save_noting)
    monkeypatch.setattr(backend, "delete", delete_noting)
    storage.put_folder("artifacts/nine", folder)
    assert order[-1] == "artifacts/nine/manifest.json"
    order.clear()
    storage.delete("artifacts/nine")
    assert order[0] == "artifacts/nine/manifest.json"


def test_a_fetched_folder_is_not_fetched_again(folder, tmp_path, monkeypatch):
    storage.put_folder("artifacts/ten", folder)
    storage.fetch_folder("artifacts/ten", tmp_path / "copy")
    monkeypatch.setattr(storage, "open_file", None)
    storage.fetch_folder("artifacts/ten", tmp_path / "copy")


@pytest.mark.slow
def test_half_a_folder_left_by_a_crash_is_replaced(folder, tmp_path):
    storage.put_folder("artifacts/eleven", folder)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "half").write_text("left by a crash")
    storage.fetch_folder("artifacts/eleven", tmp_path / "copy")
    assert not (tmp_path / "copy" / "half").exists()
    assert (tmp_path / "copy" / "manifest.json").exists()


def test_folders_are_listed_by_name_one_level_deep(tmp_path):
    for key in ("lists/a/x", "lists/b/c/y", "lists/z"):
        put(key, tmp_path=tmp_path)
    assert sorted(storage.list_folders("lists/")) == ["a", "b"]
    assert storage.list_folders("lists/a") == []
    assert storage.list_folders("lists/none") == []


def test_deleting_a_folder_leaves_its_neighbours(tmp_path):
    for key in ("near/a/x", "near/ab/x", "near/a.txt"):
        put(key, tmp_path=tmp_path)
    storage.delete("near/a")
    assert [storage.exists(f"near/{name}") for name in ("a/x", "ab/x", "a.txt")] == [
        False,
        True,
        True,
    ]
    assert storage.list_folders("near") == ["ab"]


def test_a_single_file_is_deleted_by_its_key(tmp_path):
    put("uploads/twelve", tmp_path=tmp_path)
    storage.delete("uploads/twelve")
    assert not storage.exists("uploads/twelve")
    storage.delete("uploads/twelve")


@pytest.mark.slow
def test_the_newest_change_of_a_folder_is_that_of_its_newest_file(tmp_path):
    before = now() - datetime.timedelta(seconds=2)  # S3 counts whole seconds.
    for key in ("changes/a/x", "changes/a/deep/y"):
        put(key, tmp_path=tmp_path)
    newest = storage.last_modified("changes/a/")
    assert before <= newest <= now() + datetime.timedelta(seconds=1)
    assert newest >= storage.last_modified("changes/a/deep")
    assert storage.last_modified("changes/none") is None


def test_a_file_deleted_while_a_folder_is_listed_does_not_count(tmp_path, monkeypatch):
    put("vanishing/a", tmp_path=tmp_path)
    monkeypatch.setattr(storage, "_iter_keys", lambda _: iter(["vanishing/gone", "vanishing/a"]))
    assert storage.last_modified("vanishing") is not None
    storage.delete("vanishing/a")
    assert storage.last_modified("vanishing") is None


def test_every_stored_file_is_listed_by_its_key(folder, tmp_path):
    storage.put_folder("listing/one", folder)
    put("listing/two", tmp_path=tmp_path)
    keys = [key for key in storage.iter_files() if key.startswith("listing/")]
    inside = ("contents.json", "deep/labels.json", "manifest.json", "weights.bin")
    assert sorted(keys) == sorted(["listing/two", *(f"listing/one/{name}" for name in inside)])
    storage.delete("listing")
