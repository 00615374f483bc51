"""Recordings of every kind, and what only pretends to be one."""

import io
import struct
import wave
import zipfile
from contextlib import suppress

import pytest

from assistants.errors import AudioTooLarge, InvalidAudio
from assistants.voice import audio
from assistants.voice.wording import MAX_CHARACTERS, spoken_words
from tests.assistants.voice.recordings import CONTAINERS, record


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container_is_heard_up_to_the_limit(kind, monkeypatch):
    monkeypatch.setattr(audio, "MAX_SECONDS", 2)
    heard = audio.read_recording(record(kind, 2))
    assert heard.seconds == pytest.approx(2, abs=0.1)
    with wave.open(io.BytesIO(heard.wav)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(2, abs=0.1)
    with pytest.raises(InvalidAudio, match="60 seconds"):
        audio.read_recording(record(kind, 3))


def test_sixty_seconds_are_heard_and_sixty_one_are_not():
    assert audio.read_recording(record("ogg", 60)).seconds == pytest.approx(60, abs=0.1)
    with pytest.raises(InvalidAudio, match="60 seconds"):
        audio.read_recording(record("ogg", 61))


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("question.mp3", record("mp3", 1))
    return file.getvalue()


def _wav_of(rate: int, channels: int, bits: int = 16, data: bytes = b"\x00" * 64) -> bytes:
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) % 2**32, block % 2**16, bits)
    return (
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + head
        + b"data" + struct.pack("<I", len(data)) + data
    )  # fmt: skip


HOSTILE = {
    "zip": _zip(),
    "empty": b"",
    "text": b"how do i return an order",
    "html": b"<html></html>",
    "playlist": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nfile:///etc/passwd\n",
    "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "half a webm": record("webm", 2)[:40],
    "webm head": b"\x1aE\xdf\xa3" + b"\xff" * 200,
    "ogg head": b"OggS" + b"\x00" * 200,
    "m4a head": b"\x00\x00\x00\x18ftypM4A " + b"\xff" * 200,
    "mp3 head": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"\x00" * 200,
    "no samples": _wav_of(16_000, 1, data=b""),
    "no rate": _wav_of(0, 1),
    "no channel": _wav_of(16_000, 0),
    "vast channels": _wav_of(48_000, 65_535),
    "vast rate": _wav_of(2**32 - 1, 1),
    "silence of a wav in webm's name": b"\x1aE\xdf\xa3" + _wav_of(8_000, 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_recording_is_refused_with_a_sentence(name):
    with pytest.raises(InvalidAudio) as refusal:
        audio.read_recording(HOSTILE[name])
    assert refusal.value.sentence.endswith(".")


def test_damage_in_the_middle_never_ends_the_process():
    content = bytearray(record("mp3", 2))
    content[300:4_000] = b"\x00" * 3_700
    with suppress(InvalidAudio):
        assert audio.read_recording(bytes(content)).seconds > 1


def test_a_recording_of_more_than_five_megabytes_is_refused():
    with pytest.raises(AudioTooLarge):
        audio.read_recording(b"OggS" + b"\x00" * audio.MAX_BYTES)


def test_a_child_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(audio, "CHILD_SECONDS", 0.01)
    with pytest.raises(InvalidAudio):
        audio.read_recording(record("wav", 1))


def test_a_child_without_memory_refuses_and_the_parent_lives(monkeypatch):
    monkeypatch.setattr(audio, "MEMORY_BYTES", 40 * 1024**2)
    with pytest.raises(InvalidAudio):
        audio.read_recording(record("wav", 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("See https://shop.example/returns for more.", "See for more."),
        ("请看 https://shop.example/退货。谢谢", "请看 。谢谢"),
        ("https://shop.example", ""),
        (" … ", ""),
        ("Yes.", "Yes."),
        ("A. " * 300, ("A. " * 200).strip()),
        ("Short one. " + "x" * 700, "Short one."),
        ("x" * 700, "x" * 600),
        ("x " * 400, ("x " * 300).strip()),
        ("句子。" * 300, "句子。" * 200),
    ],
)
def test_what_is_said_of_a_text(text, words):
    said = spoken_words(text)
    assert said == words
    assert len(said) <= MAX_CHARACTERS
