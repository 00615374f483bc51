"""An artifact is whole when its manifest exists, and an altered one is refused."""

import json

import pytest

from engine.artifact import (
    MANIFEST_FILE,
    Inputs,
    Manifest,
    Serving,
    Target,
    create_build_folder,
    publish,
    read_manifest,
    verify,
    write_json,
)
from engine.errors import BrokenArtifact


@pytest.fixture
def manifest():
    return Manifest(
        task="text-classification",
        base_model="all-MiniLM-L6-v2",
        labels=["a", "b"],
        inputs=Inputs(kind="text", columns=["text"]),
        target=Target(kind="label", column="label"),
        serving=Serving(file="model.onnx"),
    )


@pytest.fixture
def published(manifest, tmp_path):
    output = tmp_path / "artifact"
    folder = create_build_folder(output)
    (folder / "model.onnx").write_bytes(b"weights")
    (folder / "sub").mkdir()
    (folder / "sub" / "head.json").write_text("{}")
    publish(folder, output, manifest)
    return output


def test_every_file_is_listed_with_size_and_hash(published):
    manifest = verify(published)
    assert set(manifest.files) == {"model.onnx", "sub/head.json"}
    assert manifest.files["model.onnx"].bytes == 7
    assert manifest.labels == ["a", "b"]


def test_the_build_folder_is_gone_and_starts_empty(published):
    assert [path.name for path in published.parent.iterdir()] == ["artifact"]
    folder = create_build_folder(published)
    (folder / "left").write_text("over")
    assert list(create_build_folder(published).iterdir()) == []


def test_a_second_attempt_replaces_the_first(published, manifest):
    folder = create_build_folder(published)
    (folder / "other.onnx").write_bytes(b"new")
    publish(folder, published, manifest)
    assert set(verify(published).files) == {"other.onnx"}


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_a_damaged_file_is_named(published, damage):
    path = published / "model.onnx"
    path.write_bytes(b"wEights") if damage == "altered" else path.unlink()
    with pytest.raises(BrokenArtifact, match=r"'model\.onnx' is missing or was altered"):
        verify(published)


def test_a_folder_without_a_manifest_is_no_artifact(tmp_path):
    with pytest.raises(BrokenArtifact, match="holds no whole artifact"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text("{")
    with pytest.raises(BrokenArtifact, match="holds no whole artifact"):
        read_manifest(tmp_path)


def test_a_newer_format_is_refused(published):
    content = json.loads((published / MANIFEST_FILE).read_text())
    write_json(published / MANIFEST_FILE, content | {"format": 99})
    with pytest.raises(BrokenArtifact, match="format 99; this version reads up to 1"):
        read_manifest(published)


def test_json_files_hold_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "report.json", {"value": float("nan")})
