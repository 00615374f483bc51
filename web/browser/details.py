"""Names, tags and notes: what people change about a project, a dataset, a fine-tune or a model."""

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.db.models import F, Func, Model, QuerySet

from web.models.described import MAX_TAG_LENGTH
from web.requests import AuthenticatedRequest

Row = TypeVar("Row", bound=Model)

MAX_TAGS, MAX_NOTES_LENGTH = 20, 4000


class TagsField(forms.CharField):
    """Words with commas between them; each once, whatever its capitals, as first written."""

    def to_python(self, value: Any) -> Any:
        words = [" ".join(word.split()) for word in (super().to_python(value) or "").split(",")]
        first_written: dict[str, str] = {}
        for word in filter(None, words):
            first_written.setdefault(word.casefold(), word)
        return list(first_written.values())

    def validate(self, value: Any) -> None:
        if len(value) > MAX_TAGS:
            raise forms.ValidationError(f"There can be at most {MAX_TAGS} tags.")
        if too_long := [tag for tag in value if len(tag) > MAX_TAG_LENGTH]:
            raise forms.ValidationError(
                f"The tag “{too_long[0][:60]}” is longer than {MAX_TAG_LENGTH} characters."
            )

    def run_validators(self, value: Any) -> None:
        """Those of one text do not fit a list."""


class DetailsForm(forms.Form):
    """What is not sent stays as it is, so that a form of the name alone renames."""

    name = forms.CharField()
    tags = TagsField(required=False)
    notes = forms.CharField(required=False, max_length=MAX_NOTES_LENGTH)

    def __init__(self, data: Any, *, max_name_length: int) -> None:
        super().__init__(data)
        self.fields["name"] = forms.CharField(max_length=max_name_length)
        for name in ("tags", "notes"):
            if name not in self.data:
                del self.fields[name]

    @property
    def refusal(self) -> str:
        """The first thing that is wrong, in a sentence that names the field."""
        field, errors = next(iter(self.errors.items()))
        return f"{field.capitalize()}: {errors[0]}"


def save_details(
    request: AuthenticatedRequest,
    row: Row,
    change: Callable[[Row, dict[str, object], Any], None],
    *,
    max_name_length: int,
) -> None:
    """Carry out what the form on a page asks for, by the verb of the row's app, or say what is
    wrong with it. `change` is given the person who asks."""
    form = DetailsForm(request.POST, max_name_length=max_name_length)
    if form.is_valid():
        change(row, form.cleaned_data, request.user)
        messages.success(request, "Saved.")
    else:
        messages.error(request, form.refusal)


def tags_in(rows: "QuerySet[Any]") -> list[str]:
    """Every tag of these rows once, in order."""
    words = rows.exclude(tags=[]).order_by().annotate(word=Func(F("tags"), function="unnest"))
    return sorted(words.values_list("word", flat=True).distinct(), key=str.casefold)


def changed_details(row: Model, details: dict[str, object]) -> dict[str, object]:
    """Those of these values that the thing does not have yet."""
    return {name: value for name, value in details.items() if getattr(row, name) != value}
