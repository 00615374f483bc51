"""On a model's page: ask about groups or about one answer, and read what a worker found."""

from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.access import can, require
from accounts.signed_in import SignedInRequest
from training import analyses
from training.model_pages import find_model
from training.models import Analysis, TrainedModel
from training.report_plots import ranges_of
from training.report_reading import fairness_shown, pieces_of, report_of

MOST_CHARACTERS = 10_000


class GroupsForm(forms.Form):
    """A column whose groups to compare, and the answer that matters."""

    column = forms.ChoiceField(label="Groups of")
    label = forms.ChoiceField(label="Answer that matters", required=False)

    def __init__(self, model: TrainedModel, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        columns = [(column["name"], column["name"]) for column in model.dataset_version.columns]
        labels = [(label, label) for label in model.labels]
        self.fields["column"].choices = columns  # type: ignore[attr-defined]
        self.fields["label"].choices = [("", "the usual"), *labels]  # type: ignore[attr-defined]


class ExplainForm(forms.Form):
    """A text whose answer is to be explained."""

    input = forms.CharField(
        label="Text", max_length=MOST_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean_input(self) -> str:
        text: str = self.cleaned_data["input"]
        return text.replace("\0", "").strip()


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
    """Which words made the answer to a text."""
    model = find_model(request.user, model_id)
    form = ExplainForm(request.POST or None)
    return _fragment(request, model, form, "explain")


def _fragment(
    request: SignedInRequest, model: TrainedModel, form: forms.Form, kind: str
) -> HttpResponse:
    if request.method == "POST":
        require(request.user, model.team, "write")
        if form.is_valid():
            question = {name: value for name, value in form.cleaned_data.items() if value}
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
    elif result.get("words"):
        found |= {"result": result, "pieces": pieces_of(result["text"], result["words"])}
    return found
