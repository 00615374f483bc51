import json

import pytest

from projects import storage


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
    with pytest.raises(storage.FolderIncomplete):
        storage.fetch_folder("artifacts/two", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_damaged_file_is_noticed(folder, tmp_path):
    storage.put_folder("artifacts/three", folder)
    (tmp_path / "other").write_bytes(b"\1" * 5000)
    storage.put_file("artifacts/three/weights.bin", tmp_path / "other")
    with pytest.raises(storage.FolderIncomplete, match="damaged"):
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
