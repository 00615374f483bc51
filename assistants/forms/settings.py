"""The form of an assistant's settings."""

from collections.abc import Callable
from typing import Any

from django import forms

from accounts.errors import InvalidWebhookUrl
from accounts.webhooks import secret_encryption
from assistants.forms.percent import PercentField
from assistants.models import Assistant
from assistants.voice.configuration import FIELDS as VOICE_FIELDS
from assistants.voice.configuration import voice_problems
from assistants.voice.upstream import validate_voice_url
from assistants.writing.upstream import validate_writer_url
from billing.money import MICRO_PER_DOLLAR, plain_dollars
from web.language.sentences import lazy_choices

KEYS = ("writer_key", "voice_key")

PRICES = ("writer_input_price", "writer_output_price")
ALREADY_SET = (
    "The key of this address is set. Leave this empty to keep it; another address needs its own."
)


def _in_dollars(micro: int) -> str:
    """Exact, so that saving the form changes nothing: "1.50", "0.00015"."""
    whole, _, fraction = plain_dollars(micro).partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


class SettingsForm(forms.Form):
    """What may change while the assistant answers."""

    promise = PercentField(
        least=80,
        most=99,
        help_text="Of 100 answers that it gives alone, how many must be right: 80 to 99.",
    )
    out_of_scope_share = PercentField(
        least=1,
        most=90,
        label="Questions nobody could answer",
        help_text="How many of 100, as you assume. Once 200 questions of the random audit are"
        " judged, a version is measured with the share found there.",
    )
    rebuild_days = forms.IntegerField(
        min_value=1,
        max_value=365,
        required=False,
        label="Build a version every so many days",
        help_text="If something was taught since. It goes live only if the gate lets it. Empty:"
        " when somebody asks.",
    )
    retention_days = forms.IntegerField(
        min_value=1,
        max_value=3650,
        label="Keep closed conversations for so many days",
        help_text="Then they are deleted with all that was said.",
    )
    original_days = forms.IntegerField(
        min_value=1,
        max_value=365,
        required=False,
        label="Keep what was masked for so many days",
        help_text="E-mail addresses, numbers of phones and cards are masked in what visitors write."
        " With a number of days, people of the inbox can read the message as it was written until"
        " then; it is kept encrypted, and no model sees it. Empty: it is not kept, and what was"
        " kept is deleted at once.",
    )
    daily_budget = forms.DecimalField(
        min_value=0,
        max_digits=13,
        decimal_places=6,
        required=False,
        help_text="In US dollars a day (UTC). Once it is spent, people are asked to answer.",
    )
    writer_model = forms.CharField(
        max_length=200,
        required=False,
        label="Language model that writes from documents",
        help_text="An endpoint of your team, or a model at the address below. Each sentence is"
        " checked against the passage it cites. Empty: passages are quoted as they are.",
    )
    writer_url = forms.CharField(
        max_length=500,
        required=False,
        label="OpenAI-compatible address",
        help_text="For example https://api.example.com/v1. Empty: an endpoint of your team.",
    )
    writer_key = forms.CharField(
        max_length=500,
        required=False,
        label="Its API key",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    writer_input_price = forms.DecimalField(
        min_value=0,
        max_digits=13,
        decimal_places=6,
        required=False,
        label="Price of the tokens it reads",
        help_text="What this address asks for a million tokens, in US dollars. It counts in the"
        " cost of an answer and in the daily budget, not on the bill.",
    )
    writer_output_price = forms.DecimalField(
        min_value=0,
        max_digits=13,
        decimal_places=6,
        required=False,
        label="Price of the tokens it writes",
        help_text="For a million of them, in US dollars.",
    )
    writing_style = forms.CharField(
        max_length=300,
        required=False,
        label="How it writes",
        help_text="For example: friendly and informal. Approved answers are never changed.",
    )
    voice = forms.ChoiceField(
        choices=lazy_choices(Assistant.Voice.choices),
        label="Who hears and speaks",
        help_text="The visitor's browser costs nothing; most browsers send the audio to their"
        " maker, and some have none. Offline, English is recognised and spoken, Chinese is spoken"
        " only.",
    )
    voice_url = forms.CharField(
        max_length=500,
        required=False,
        label="Address of the voice",
        help_text="OpenAI-compatible, with /audio/transcriptions and /audio/speech below it, for"
        " example https://api.example.com/v1. It gets every spoken question.",
    )
    voice_key = forms.CharField(
        max_length=500,
        required=False,
        label="API key of the voice",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    hearing_model = forms.CharField(
        max_length=200,
        required=False,
        label="Model that recognises speech",
        help_text="For example whisper-1. Empty: questions cannot be spoken.",
    )
    speaking_model = forms.CharField(
        max_length=200,
        required=False,
        label="Model that speaks",
        help_text="For example tts-1. Empty: answers are not spoken.",
    )
    voice_name = forms.CharField(
        max_length=80, required=False, label="Voice", help_text="For example alloy."
    )

    def __init__(self, assistant: Assistant, data: Any = None) -> None:
        budget = assistant.daily_budget_micro
        initial = {
            name: getattr(assistant, name)
            for name in ("promise", "out_of_scope_share", "rebuild_days", "retention_days",
                         "original_days", "writer_model", "writer_url", "writing_style",
                         *VOICE_FIELDS)
        }  # fmt: skip
        for name in PRICES:
            price = getattr(assistant, f"{name}_micro")
            initial[name] = _in_dollars(price) if price else None
        initial["daily_budget"] = None if budget is None else _in_dollars(budget)
        super().__init__(data, initial=initial)
        for name in KEYS:
            if getattr(assistant, name):
                self.fields[name].help_text = ALREADY_SET

    @property
    def groups(self) -> dict[str, list[forms.BoundField]]:
        """The fields below their headings."""
        voice = [field for field in self if field.name in (*VOICE_FIELDS, "voice_key")]
        privacy = [self["retention_days"], self["original_days"]]
        return {
            "Answers": [field for field in self if field not in (*voice, *privacy)],
            "Privacy": privacy,
            "Voice": voice,
        }

    def clean_writer_url(self) -> str:
        return self._clean_url("writer_url", validate_writer_url)

    def clean_voice_url(self) -> str:
        return self._clean_url("voice_url", validate_voice_url)

    def _clean_url(self, name: str, validate: Callable[[str], str]) -> str:
        text = str(self.cleaned_data[name])
        try:
            return validate(text) if text else ""
        except InvalidWebhookUrl as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        if fields.get("writer_url") and not fields.get("writer_model"):
            self.add_error("writer_model", "Name the model at this address.")
        for name, sentence in voice_problems(fields).items():
            if name not in self.errors:
                self.add_error(name, sentence)
        return fields

    def changes(self) -> dict[str, object]:
        """The fields to change, as the model stores them."""
        fields = dict(self.cleaned_data)
        budget, keys = fields.pop("daily_budget"), {name: fields.pop(name) for name in KEYS}
        for name in PRICES:
            fields[f"{name}_micro"] = int((fields.pop(name) or 0) * MICRO_PER_DOLLAR)
        fields["daily_budget_micro"] = None if budget is None else int(budget * MICRO_PER_DOLLAR)
        fields |= {name: secret_encryption.encrypt(key) for name, key in keys.items() if key}
        return fields
