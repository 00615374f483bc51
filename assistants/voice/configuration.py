"""Which settings of a voice go together."""

from collections.abc import Mapping
from typing import Any

from assistants.models import Assistant
from assistants.voice.offline import NOT_INSTALLED, offered

FIELDS = ("voice", "voice_url", "hearing_model", "speaking_model", "voice_name")


def voice_problems(values: Mapping[str, Any]) -> dict[str, str]:
    """The sentence for each of FIELDS that is at fault."""
    problems: dict[str, str] = {}
    if values.get("voice") == Assistant.Voice.ADDRESS:
        if not values.get("voice_url"):
            problems["voice_url"] = "Enter the address of the voice."
        if not values.get("hearing_model") and not values.get("speaking_model"):
            problems["hearing_model"] = "Name a model that recognises speech, or one that speaks."
        if values.get("speaking_model") and not values.get("voice_name"):
            problems["voice_name"] = "Name a voice of this model, such as alloy."
    if values.get("voice") == Assistant.Voice.OFFLINE and not offered().speak:
        problems["voice"] = NOT_INSTALLED
    return problems
