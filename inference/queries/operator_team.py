"""One team for operators: its budget and credit, jobs, endpoints, and counts of its data."""

from dataclasses import dataclass

from django.db.models import Count

from accounts.models import Team
from billing.budgets.budget import get_budget
from billing.credit.grants import credit_balance_micro
from billing.models import Budget
from inference.models import Deployment
from projects.models import Dataset
from training.models import Status, TrainedModel, TrainingJob

MAX_JOBS = 8


@dataclass(frozen=True)
class TeamFacts:
    budget: Budget
    credit_micro: int
    jobs_by_status: list[tuple[str, int]]
    newest_jobs: list[TrainingJob]
    endpoints: list[Deployment]
    datasets: int
    models: int

    @property
    def job_count(self) -> int:
        return sum(count for _, count in self.jobs_by_status)


def load_team_facts(team: Team) -> TeamFacts:
    jobs = TrainingJob.objects.filter(team=team)
    counted = jobs.order_by().values_list("status").annotate(count=Count("pk"))
    endpoints = Deployment.objects.serving().filter(team=team).select_related("model")
    return TeamFacts(
        budget=get_budget(team),
        credit_micro=credit_balance_micro(team),
        jobs_by_status=[(Status(status).label, count) for status, count in sorted(counted)],
        newest_jobs=list(jobs.defer("log_tail").order_by("-created_at")[:MAX_JOBS]),
        endpoints=list(endpoints.order_by("name")[:MAX_JOBS]),
        datasets=Dataset.objects.filter(project__team=team, archived_at=None).count(),
        models=TrainedModel.objects.not_in_trash().filter(team=team).count(),
    )
