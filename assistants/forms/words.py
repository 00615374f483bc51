"""The form of an assistant's own words, its languages, and when people are there."""

from typing import Any
from zoneinfo import available_timezones

from django import forms

from assistants.answering.texts import DEFAULT_TEXTS
from assistants.models import Assistant
from assistants.people.opening_hours import format_hours, parse_hours
from web.language.sentences import lazy_choices

MAX_TEXT = 500
LANGUAGES = {"en": "English", "zh": "Chinese"}
LABELS = {
    "greeting": "Greeting",
    "disclosure": "That it is an AI",
    "refusal": "When it has no answer",
    "ask": "When it asks back",
    "handed_over": "When a person takes over",
    "handed_over_closed": "When nobody is there",
    "waits_again": "When the person who took over does not answer",
}


class WordsForm(forms.Form):
    """Counts at once, but the languages: a version knows those it was measured in."""

    languages = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        help_text="The first is spoken where nothing tells. Each counts from the next version on.",
    )
    opening_hours = forms.CharField(
        max_length=500,
        required=False,
        help_text="When people are there, such as mon-fri 09:00-17:00 and sat 10:00-14:00 on lines"
        " of their own. Empty: always.",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "mon-fri 09:00-17:00"}),
    )
    time_zone = forms.ChoiceField(choices=[(zone, zone) for zone in sorted(available_timezones())])

    def __init__(self, assistant: Assistant, data: Any = None) -> None:
        self._assistant = assistant
        super().__init__(data, initial=self._known())
        codes = {**{code: code for code in assistant.languages}, **LANGUAGES}
        field = self.fields["languages"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = lazy_choices(list(codes.items()))
        for language in self._shown_languages():
            for name, label in LABELS.items():
                self.fields[f"{language}_{name}"] = _text_field(language, name, label)

    def _known(self) -> dict[str, Any]:
        assistant = self._assistant
        own = {
            f"{language}_{name}": text
            for language, texts in assistant.texts.items()
            for name, text in texts.items()
        }
        hours = "\n".join(format_hours(assistant.opening_hours))
        known = {"languages": assistant.languages, "time_zone": assistant.time_zone}
        return {**own, **known, "opening_hours": hours}

    def _shown_languages(self) -> list[str]:
        return [code for code in self._assistant.languages if code in DEFAULT_TEXTS] or ["en"]

    @property
    def groups(self) -> dict[str, list[forms.BoundField]]:
        """The fields below their headings."""
        first = [self[name] for name in ("languages", "opening_hours", "time_zone")]
        words = {
            f"Words in {LANGUAGES[code]}": [self[f"{code}_{name}"] for name in LABELS]
            for code in self._shown_languages()
        }
        return {"Languages and opening hours": first, **words}

    def clean_opening_hours(self) -> dict[str, list[str]]:
        try:
            return parse_hours(str(self.cleaned_data["opening_hours"]))
        except ValueError as problem:
            raise forms.ValidationError(str(problem)) from problem

    def changes(self) -> dict[str, Any]:
        """The fields to change, as the model stores them."""
        fields, assistant = self.cleaned_data, self._assistant
        texts = {language: dict(own) for language, own in assistant.texts.items()}
        for language in self._shown_languages():
            typed = {name: str(fields[f"{language}_{name}"]).strip() for name in LABELS}
            own_texts = {name: text for name, text in typed.items() if text}
            others = {n: text for n, text in texts.get(language, {}).items() if n not in LABELS}
            texts[language] = {**others, **own_texts}
        chosen = fields["languages"]
        known = [code for code in assistant.languages if code in chosen]
        languages = [*known, *(code for code in chosen if code not in known)]
        return {
            "languages": languages,
            "opening_hours": fields["opening_hours"],
            "time_zone": fields["time_zone"],
            "texts": {language: own for language, own in texts.items() if own},
        }


def _text_field(language: str, name: str, label: str) -> forms.CharField:
    default = DEFAULT_TEXTS[language][name]
    return forms.CharField(
        max_length=MAX_TEXT,
        required=False,
        label=label,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": default}),
    )
