"""On a model's page: ask about groups or about one answer, and read what a worker found."""

import base64
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.access import can, require
from accounts.signed_in import SignedInRequest
from engine.images.decoding import NotAPicture
from engine.spec import SPECS
from projects.pictures import shrunk
from training import analyses
from training.model_pages import find_model
from training.model_reading import explained_kind
from training.models import Analysis, TrainedModel
from training.report_explanations import explanation_shown
from training.report_plots import ranges_of
from training.report_reading import fairness_shown, report_of

MOST_CHARACTERS = 10_000
MOST_PICTURE_BYTES = 20 * 1024 * 1024
PICTURE_SIDE = 320  # More than the models look at, and a few kilobytes.


class GroupsForm(forms.Form):
    """A column whose groups to compare, and the answer that matters."""

    column = forms.ChoiceField(label="Groups of")
    label = forms.ChoiceField(label="Answer that matters", required=False)

    def __init__(self, model: TrainedModel, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        read = _columns_read(model)
        columns = [
            (column["name"], column["name"])
            for column in model.dataset_version.columns
            if column["type"] != "image" and column["name"] not in read
        ]
        labels = [(label, label) for label in model.labels]
        self.fields["column"].choices = columns  # type: ignore[attr-defined]
        self.fields["label"].choices = [("", "the usual"), *labels]  # type: ignore[attr-defined]


def _columns_read(model: TrainedModel) -> set[str]:
    """Texts and chats that the model reads: each row is a group of its own there."""
    read: set[str] = set()
    recipe = model.job.recipe if hasattr(model, "job") else {}  # Its job may have been deleted.
    for role in SPECS[model.task].roles:
        chosen = recipe.get(role.field) or []
        if role.field not in ("target_column", "feature_columns", "fairness_columns"):
            read.update([chosen] if isinstance(chosen, str) else chosen)
    return read


class TextForm(forms.Form):
    """A text whose answer is to be explained."""

    input = forms.CharField(
        label="Text", max_length=MOST_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean_input(self) -> str:
        text: str = self.cleaned_data["input"]
        return text.replace("\0", "").strip()


class RowForm(forms.Form):
    """A row of the model's data, counted from 0."""

    row = forms.IntegerField(label="Row of the data", min_value=0, max_value=2**31)


class PictureForm(forms.Form):
    """A picture, or the number of a row that has one. Only a small copy is kept."""

    picture = forms.FileField(label="Picture", required=False)
    row = forms.IntegerField(
        label="or row of the data", min_value=0, max_value=2**31, required=False
    )

    def clean_picture(self) -> str:
        given = self.cleaned_data["picture"]
        if given is None:
            return ""
        if given.size > MOST_PICTURE_BYTES:
            raise forms.ValidationError("The picture is larger than 20 MB.")
        try:
            return base64.b64encode(shrunk(given.read(), PICTURE_SIDE)).decode()
        except NotAPicture as problem:
            raise forms.ValidationError(f"This cannot be looked at: {problem}.") from None

    def clean(self) -> dict[str, object]:
        given = self.cleaned_data
        if not self.errors and not given.get("picture") and given.get("row") is None:
            raise forms.ValidationError("Choose a picture, or give the number of a row.")
        return given


EXPLAIN_FORMS: dict[str, type[forms.Form]] = {
    "text": TextForm,
    "features": RowForm,
    "image": PictureForm,
}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def groups(request: SignedInRequest, model_id: UUID) -> HttpResponse:
    """Fairness and results by a column, chosen afterwards."""
    model = find_model(request.user, model_id)
    form = GroupsForm(model, request.POST or None)
    return _fragment(request, model, form, "groups")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def explain(request: SignedInRequest, model_id: UUID) -> HttpResponse:
    """Which words, cells or parts of a picture made an answer."""
    model = find_model(request.user, model_id)
    if (kind := explained_kind(model)) == "":
        raise Http404
    sent = (request.POST, request.FILES) if request.method == "POST" else ()
    form = EXPLAIN_FORMS[kind](*sent)
    return _fragment(request, model, form, "explain")


def _fragment(
    request: SignedInRequest, model: TrainedModel, form: forms.Form, kind: str
) -> HttpResponse:
    if request.method == "POST":
        require(request.user, model.team, "write")
        if form.is_valid():
            given = form.cleaned_data
            question = {name: given[name] for name in given if given[name] not in ("", None)}
            analyses.ask(model, request.user, kind, question)
            if not request.htmx:
                return redirect(f"training:model-{kind}", model.pk)
    listed = analyses.of_model(model, kind)
    metric = report_of(model).get("headline_metric", "accuracy")
    context = {
        "model": model,
        "team": model.team,
        "form": form,
        "kind": kind,
        "may_ask": can(request.user, model.team, "write"),
        "is_waiting": any(one.finished_at is None for one in listed),
        "listed": [_shown(one, metric) for one in listed],
    }
    whole = "training/analysis.html"
    return render(request, f"training/_analysis_{kind}.html" if request.htmx else whole, context)


def _shown(analysis: Analysis, metric: str) -> dict[str, object]:
    result = analysis.result or {}
    found: dict[str, object] = {"analysis": analysis, "question": analysis.question}
    if analysis.kind == "groups":
        found["fairness"] = [fairness_shown(one) for one in result.get("fairness", [])]
        found["breakdowns"] = [
            {**one, "metric": metric, "ranges": ranges_of(one["slices"], metric)}
            for one in result.get("breakdowns", [])
        ]
    elif result:
        found |= {"result": result, **explanation_shown(result)}
    return found
