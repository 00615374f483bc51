"""The offline voice: requirements-voice.txt in a child process of an interpreter that has it."""

import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from assistants.errors import VoiceUnavailable
from assistants.voice.audio import Recording
from assistants.voice.slots import ChildSlots
from web import child_process

logger = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("offline_child.py")
MEMORY_BYTES = 3 * 1024**3  # Of the child's address space; it uses a third of that.
CHECK_SECONDS, CHILD_SECONDS = 10.0, 90.0
CHECKED_FOR_SECONDS = 60.0
CHILDREN_AT_ONCE, WAIT_SECONDS = 1, 20.0  # In each process: each child fills a core.
NAMES = {"en": "English", "zh": "Chinese"}
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}
NOT_INSTALLED = (
    "The offline voice is not installed here: see requirements-voice.txt and VOICE_PYTHON."
)
_slots = ChildSlots(CHILDREN_AT_ONCE, WAIT_SECONDS)


@dataclass(frozen=True)
class Offered:
    """The languages that the installed packages hear and speak."""

    hear: tuple[str, ...] = ()
    speak: tuple[str, ...] = ()


_checked: tuple[float, Offered] | None = None


def offered() -> Offered:
    """What is installed, looked up at most once a minute. A look that fails changes nothing."""
    global _checked
    if _checked is None or time.monotonic() - _checked[0] > CHECKED_FOR_SECONDS:
        before = _checked[1] if _checked else Offered()
        _checked = (time.monotonic(), _check() or before)
    return _checked[1]


def _check() -> Offered | None:
    """None where the interpreter gives no answer."""
    try:
        finished = child_process.run(
            [settings.VOICE_PYTHON, str(CHILD), "check"], seconds=CHECK_SECONDS, every_seconds=1.0
        )
        languages = json.loads(finished.stdout)
        return Offered(tuple(languages["hear"]), tuple(languages["speak"]))
    except (OSError, ValueError, KeyError) as problem:  # OSError: no such interpreter.
        logger.warning("The offline voice cannot be looked for: %s", problem)
        return None


class OfflineEngine:
    """English is heard and spoken, Chinese spoken only: no package brings a model that hears it."""

    identity = "offline"

    def why_deaf(self, language: str) -> str:
        heard = offered().hear
        if not heard:
            return NOT_INSTALLED
        if language in heard:
            return ""
        names = " and ".join(NAMES[code] for code in heard)
        if not language:
            return f'Say which language was spoken: "language". Offline, {names} is recognised.'
        return f"Offline, only {names} is recognised. Write the question instead."

    def why_mute(self, language: str) -> str:
        spoken = offered().speak
        if not spoken:
            return NOT_INSTALLED
        if language in spoken:
            return ""
        return f"Offline, only {' and '.join(NAMES[code] for code in spoken)} is spoken."

    def hear(self, recording: Recording, language: str) -> str:
        with _slots.take(), tempfile.TemporaryDirectory(prefix="voice-") as name:
            source = Path(name, "question.wav")
            source.write_bytes(recording.wav)
            return str(_run("hear", str(source)).get("text", ""))

    def speak(self, text: str, language: str, format_name: str) -> bytes:
        with _slots.take(), tempfile.TemporaryDirectory(prefix="voice-") as name:
            words, target = Path(name, "text"), Path(name, "answer.wav")
            words.write_text(text, encoding="utf-8")
            _run("speak", str(words), language, str(target))
            return target.read_bytes()


def _run(*words: str) -> dict[str, str]:
    """The child's answer. Raises VoiceUnavailable."""
    try:
        finished = child_process.run(
            [settings.VOICE_PYTHON, str(CHILD), *words],
            seconds=CHILD_SECONDS,
            memory_bytes=MEMORY_BYTES,
            extra_environment=ENVIRONMENT,
            every_seconds=1.0,
        )
        answer: dict[str, str] = json.loads(finished.stdout.strip().rpartition("\n")[2])
    except OSError as problem:  # The interpreter is gone.
        raise VoiceUnavailable from problem
    except ValueError as problem:  # It ended without an answer: killed, or by an error of its own.
        logger.error("The offline voice failed: %s", finished.stderr[-2_000:])
        raise VoiceUnavailable from problem
    return answer
