"""Who hears and speaks for an assistant, by one interface."""

from typing import Protocol

from assistants.models import Assistant
from assistants.voice.audio import Recording
from assistants.voice.offline import OfflineEngine
from assistants.voice.upstream import AddressEngine


class Engine(Protocol):
    """Languages are codes such as "en"; "" stands for one that is not known."""

    def why_deaf(self, language: str) -> str:
        """The sentence that says why it cannot hear this language; "" where it can."""

    def why_mute(self, language: str) -> str:
        """The sentence that says why it cannot speak this language; "" where it can."""

    def hear(self, recording: Recording, language: str) -> str:
        """What was said. Raises VoiceUnavailable."""

    def speak(self, text: str, language: str, format_name: str) -> bytes:
        """Audio of any of our containers. Raises VoiceUnavailable."""

    @property
    def identity(self) -> str:
        """What decides how it sounds: texts spoken under another identity are spoken anew."""


def engine_of(assistant: Assistant) -> Engine | None:
    """None where the server neither hears nor speaks: voice is off, or the browser's own."""
    if assistant.voice == Assistant.Voice.ADDRESS:
        return AddressEngine(assistant)
    if assistant.voice == Assistant.Voice.OFFLINE:
        return OfflineEngine()
    return None


OFF = "This assistant has no voice on the server. Send text."


def why_deaf(assistant: Assistant, language: str) -> str:
    """Why it cannot hear a recording in this language; "" where it can."""
    engine = engine_of(assistant)
    return engine.why_deaf(language) if engine else OFF


def why_mute(assistant: Assistant, language: str) -> str:
    engine = engine_of(assistant)
    return engine.why_mute(language) if engine else OFF
