"""What inference adds to the pages of lower apps."""

from dataclasses import replace
from typing import cast

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Team
from accounts.permissions import has_permission, viewer_of
from inference import deployments
from inference.forms.deployments import NameForm
from inference.forms.playground import playground_form
from inference.models import Deployment
from inference.queries.overview import READ_REPORT_KEY, load_overview
from projects.models import Project
from training.models import TrainedModel


def overview(request: HttpRequest, subject: Model) -> dict[str, object]:
    """A team's overview without its projects, and the project to which a first upload would go."""
    team = cast(Team, subject)
    has_read = bool(request.session.get(READ_REPORT_KEY))
    projects = Project.objects.active().filter(team=team)
    loaded = load_overview(team, has_read_report=has_read)
    if loaded.steps[0].is_done:
        return {"overview": loaded, "first_project": None}
    first = projects.first()
    if first is not None:
        loaded.steps[0] = replace(loaded.steps[0], url=reverse("projects:upload", args=[first.pk]))
    return {"overview": loaded, "first_project": first}


def model_side(request: HttpRequest, subject: Model) -> dict[str, object]:
    """The endpoints that serve a model, a form to try it, and one to deploy it."""
    model = cast(TrainedModel, subject)
    request.session.setdefault(READ_REPORT_KEY, True)
    serving = Deployment.objects.serving().filter(team=model.team, model__task=model.task)
    listed = list(serving.select_related("model").order_by("name"))
    own = [endpoint for endpoint in listed if endpoint.model_id == model.pk]
    return {
        "model_endpoints": own,
        "other_endpoints": [endpoint for endpoint in listed if endpoint.model_id != model.pk],
        "try_form": playground_form(own[0]) if own else None,
        "deploy_form": NameForm(initial={"name": deployments.suggest_name(model)}),
        "may_deploy": has_permission(viewer_of(request), model.team, "write"),
    }
