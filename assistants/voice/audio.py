"""Audio of strangers: recognised by its first bytes, then decoded by a child with limits."""

import json
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from assistants.errors import AudioTooLarge, InvalidAudio
from assistants.voice.slots import ChildSlots
from web import child_process

logger = logging.getLogger(__name__)

MAX_BYTES = 5_000_000
MAX_SECONDS = 60
MAX_SPOKEN_SECONDS = 300  # Of 600 characters, spoken slowly.
HEARD_RATE = 16_000  # What recognisers listen at.
MEMORY_BYTES = 1024**3  # Of the child's address space.
CHILD_SECONDS = 20.0
CHILDREN_AT_ONCE, WAIT_SECONDS = 2, 10.0  # In each process.
CHILD = Path(__file__).with_name("audio_child.py")
DEFAULT_FORMAT = "mp3"  # Of an answer that is spoken.
KINDS = "webm, ogg, mp3, m4a or wav"
SENTENCES = {
    "too_long": f"A spoken question may take {MAX_SECONDS} seconds. Say it shorter, or write it.",
    "unreadable": f"This is no audio that can be read. Send {KINDS}.",
    "silent": "There is no sound in this recording. Say it again, or write it.",
}
_slots = ChildSlots(CHILDREN_AT_ONCE, WAIT_SECONDS)


@dataclass(frozen=True)
class Recording:
    """A WAV: one channel of 16 bits."""

    wav: bytes
    seconds: float


def read_recording(content: bytes) -> Recording:
    """A visitor's recording at HEARD_RATE. Raises AudioTooLarge or InvalidAudio."""
    if len(content) > MAX_BYTES:
        raise AudioTooLarge
    wav, seconds = convert(content, "wav", MAX_SECONDS, rate=HEARD_RATE)
    return Recording(wav, seconds)


def convert(
    content: bytes, format_name: str, max_seconds: float, *, rate: int = 0
) -> tuple[bytes, float]:
    """The audio as "wav" or "mp3", and its seconds. Raises InvalidAudio or VoiceBusy."""
    container = container_of(content)
    if container is None:
        raise InvalidAudio(SENTENCES["unreadable"], param="audio")
    with _slots.take(), tempfile.TemporaryDirectory(prefix="audio-") as name:
        source, target = Path(name, "source"), Path(name, "target")
        source.write_bytes(content)
        words = [str(source), container, str(target), format_name, str(max_seconds), str(rate)]
        finished = child_process.run(
            [sys.executable, str(CHILD), *words],
            seconds=CHILD_SECONDS,
            memory_bytes=MEMORY_BYTES,
            cwd=name,
            every_seconds=1.0,
        )
        seconds = _read_report(finished)
        return target.read_bytes(), seconds


def container_of(content: bytes) -> str | None:
    """ffmpeg's name of the container, by the first bytes; None for what is no audio of KINDS."""
    start = content[:12]
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        return "wav"
    if start[4:8] == b"ftyp":
        return "mov"
    is_mp3 = start[:3] == b"ID3" or (start[:1] == b"\xff" and start[1:2] >= b"\xe0")
    magic = {b"OggS": "ogg", b"\x1aE\xdf\xa3": "matroska"}
    return magic.get(start[:4], "mp3" if is_mp3 else None)


def _read_report(finished: child_process.Finished) -> float:
    try:
        report = json.loads(finished.stdout)
    except ValueError:  # Killed for its time or memory, or by damage that its decoder trips over.
        logger.warning("Audio was not converted: %s", finished.stderr[-1_000:])
        report = {"refused": "unreadable"}
    if "refused" in report:
        raise InvalidAudio(SENTENCES[report["refused"]], param="audio")
    return float(report["seconds"])
