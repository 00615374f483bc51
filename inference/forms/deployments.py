"""Forms of deployments: the name, the move to another model, the promotion rule."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from inference import promotion
from inference.deployments import MAX_NAME_LENGTH
from inference.models import Deployment
from training.models import TrainedModel
from web.browser.page_memo import once_per_page
from web.language.sentences import lazy_choices, translated_lazy


class NameForm(forms.Form):
    """A deployment's name: what API callers send as `model`."""

    name = forms.SlugField(
        max_length=MAX_NAME_LENGTH,
        help_text="Letters, digits, hyphens and underscores. API callers send it as “model”.",
    )


def _movable_to(deployment: Deployment) -> QuerySet[TrainedModel]:
    """The models that may take over the name."""
    own_task = TrainedModel.objects.filter(
        team_id=deployment.team_id, archived_at=None, task=deployment.model.task
    )
    return own_task.exclude(pk=deployment.model_id)


@once_per_page
def _other_models(deployment: Deployment) -> list[TrainedModel]:
    return list(_movable_to(deployment))


class MoveForm(forms.Form):
    """Another model of the same team."""

    model = forms.ModelChoiceField(
        TrainedModel.objects.none(), label="Model", empty_label=translated_lazy("Choose a model")
    )

    def __init__(self, deployment: Deployment, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["model"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = _movable_to(deployment)
        # Read once: a field with a queryset asks at every look, and two forms stand on a page.
        self.others = _other_models(deployment)
        field.choices = [("", field.empty_label), *((one.pk, str(one)) for one in self.others)]


class TrialForm(MoveForm):
    """A model that is tried under the name before it gets it."""

    KINDS = [
        ("canary", "Canary: it answers a share of requests"),
        ("shadow", "Shadow: it is asked beside, and only compared"),
    ]

    kind = forms.ChoiceField(label="How", choices=lazy_choices(KINDS), initial="canary")
    percent = forms.IntegerField(
        label="Share in percent", min_value=1, max_value=99, initial=10,
        help_text="Of 100 requests, so many are answered by it. Of no meaning to a shadow.",
    )  # fmt: skip


class PromotionRuleForm(forms.Form):
    """What a model must show before the name moves to it."""

    metric = forms.ChoiceField(label="Metric")
    threshold = forms.FloatField(
        required=False,
        label="Must reach",
        help_text="0.9 for 90%. For errors and losses: at most this.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    slice_threshold = forms.FloatField(
        required=False,
        label="In every part",
        help_text="The same metric in each part of the test rows with at least 30 rows.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    not_worse = forms.BooleanField(
        required=False, initial=True, label="Not worse than the deployed model, on the same rows"
    )

    def __init__(self, deployment: Deployment, data: object = None) -> None:
        rule = promotion.rule_of(deployment)
        initial = {name: getattr(rule, name) for name in self.base_fields} if rule else None
        super().__init__(data, initial=initial)  # type: ignore[arg-type]
        titles = promotion.measured_metrics(deployment.model)
        self.fields["metric"].choices = lazy_choices(titles.items())  # type: ignore[attr-defined]
