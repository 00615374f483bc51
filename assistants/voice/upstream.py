"""Any address with OpenAI's /audio/transcriptions and /audio/speech."""

import json
import logging
from dataclasses import dataclass

import httpx
from pydantic import BaseModel, ValidationError

from assistants import outgoing
from assistants.errors import VoiceUnavailable
from assistants.models import Assistant
from assistants.outgoing import OutgoingFailed
from assistants.voice.audio import Recording

logger = logging.getLogger(__name__)

HEAR_PATH, SPEAK_PATH = "/audio/transcriptions", "/audio/speech"
HEAR_SECONDS, SPEAK_SECONDS = 30.0, 30.0
MAX_TRANSCRIPT_BYTES, MAX_SPEECH_BYTES = 256 * 1024, 10 * 1024**2


class _Transcript(BaseModel):
    text: str


def validate_voice_url(text: str) -> str:
    """The base address, such as https://api.example.com/v1. Raises InvalidWebhookUrl."""
    return outgoing.validate_base_url(text, HEAR_PATH, SPEAK_PATH)


@dataclass(eq=False)
class AddressEngine:
    """It sends what a visitor said to the team's own provider, and nothing of who said it."""

    _assistant: Assistant

    def why_deaf(self, language: str) -> str:
        return "" if self._assistant.hearing_model else "This assistant does not hear. Send text."

    def why_mute(self, language: str) -> str:
        return "" if self._assistant.speaking_model else "This assistant does not speak."

    @property
    def identity(self) -> str:
        row = self._assistant
        return f"{row.voice_url}\0{row.speaking_model}\0{row.voice_name}"

    def hear(self, recording: Recording, language: str) -> str:
        fields = {"model": self._assistant.hearing_model, "response_format": "json"}
        if language:
            fields["language"] = language
        url = self._assistant.voice_url + HEAR_PATH
        files = {"file": ("question.wav", recording.wav, "audio/wav")}
        request = httpx.Request("POST", url, data=fields, files=files)
        body = outgoing.Body(request.read(), request.headers["content-type"])
        try:
            answer = self._post(HEAR_PATH, body, HEAR_SECONDS, MAX_TRANSCRIPT_BYTES)
            return _Transcript.model_validate_json(answer).text
        except (OutgoingFailed, ValidationError, ValueError) as problem:
            raise self._unavailable(problem) from problem

    def speak(self, text: str, language: str, format_name: str) -> bytes:
        fields = {
            "model": self._assistant.speaking_model,
            "input": text,
            "voice": self._assistant.voice_name,
            "response_format": format_name,
        }
        body = outgoing.Body(json.dumps(fields).encode(), "application/json")
        try:
            return self._post(SPEAK_PATH, body, SPEAK_SECONDS, MAX_SPEECH_BYTES)
        except OutgoingFailed as problem:
            raise self._unavailable(problem) from problem

    def _post(self, path: str, body: outgoing.Body, seconds: float, max_bytes: int) -> bytes:
        chunks = outgoing.stream(
            self._assistant.voice_url + path,
            body,
            sealed_key=self._assistant.voice_key,
            seconds=seconds,
            max_bytes=max_bytes,
        )
        return b"".join(chunks)

    def _unavailable(self, problem: Exception) -> VoiceUnavailable:
        logger.warning("The voice of %s does not answer: %s", self._assistant.pk, problem)
        return VoiceUnavailable()
