"""What people type about deployments."""

from typing import Any

from django import forms

from inference.deploy import NAME_LENGTH
from inference.models import Deployment
from training.models import TrainedModel


class NameForm(forms.Form):
    """A deployment's name: what API callers send as `model`."""

    name = forms.SlugField(
        max_length=NAME_LENGTH,
        help_text="Letters, digits, hyphens and underscores. API callers send it as “model”.",
    )


class MoveForm(forms.Form):
    """Another model of the same team."""

    model = forms.ModelChoiceField(TrainedModel.objects.none(), label="Model")

    def __init__(self, deployment: Deployment, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["model"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = TrainedModel.objects.filter(
            team_id=deployment.team_id, archived_at=None, task=deployment.model.task
        ).exclude(pk=deployment.model_id)
