"""What apps register about the sources of costs, and what a statement makes of it."""

import uuid

import pytest

from billing.statements import sources as registry_module
from billing.statements.sources import CostSource, RunUsage, resolve_names

SUBJECT = uuid.UUID("12345678-0000-4000-8000-000000000000")


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """The registrations of the apps, and room for more."""
    monkeypatch.setattr(registry_module, "_families", dict(registry_module._families))


@pytest.mark.parametrize(
    ("family", "path", "label"),
    [
        ("training-job", f"/jobs/{SUBJECT}/", "Fine-tune 12345678"),
        ("deployment", f"/deployments/{SUBJECT}/", "Endpoint 12345678"),
    ],
)
def test_every_app_says_where_its_sources_live_and_what_they_are(family, path, label):
    source = CostSource(source=f"{family}:{SUBJECT}")
    assert (source.url, source.label) == (path, label)


def test_a_source_that_nobody_registered_has_an_id_and_no_page():
    source = CostSource(source=f"notebook:{SUBJECT}")
    assert (source.family, source.subject_id) == ("notebook", SUBJECT)
    assert (source.url, source.label) == ("", "notebook 12345678")


@pytest.mark.parametrize("text", ["training-job:1", "training-job:", "odd", ""])
def test_a_source_without_an_id_is_called_by_itself(text):
    source = CostSource(source=text)
    assert (source.subject_id, source.url, source.label) == (None, "", text)


def test_names_of_all_families_come_with_one_query_and_leave_out_what_is_gone(
    job, things, django_assert_num_queries
):
    gone = uuid.UUID(int=0)
    sources = [
        CostSource(source=f"training-job:{job.pk}"),
        CostSource(source=f"deployment:{things['deployment']}"),
        CostSource(source=f"assistant:{things['assistant']}"),
        CostSource(source=f"training-job:{gone}"),
        CostSource(source="training-job:no-id"),
        CostSource(source=f"unknown:{SUBJECT}"),
    ]
    with django_assert_num_queries(1):
        resolve_names(sources)
    assert [source.label for source in sources] == [
        job.name, "intents", "shop-help",
        "Fine-tune 00000000", "training-job:no-id", "unknown 12345678",
    ]  # fmt: skip
    with django_assert_num_queries(0):
        resolve_names(sources[-2:])


def test_a_family_is_found_by_name_only():
    assert registry_module._families["training-job"].label == "Fine-tune"
    assert "training" not in registry_module._families


def test_attempts_are_listed_as_they_began_and_unknown_runs_last(team):
    class Run:
        def __init__(self, fence):
            self.fence = fence

    source = CostSource(source="training-job:1")
    uses = [RunUsage(run=Run(2)), RunUsage(run=None), RunUsage(run=Run(1))]
    source.runs = {uuid.UUID(int=n): use for n, use in enumerate(uses)}
    assert [use.run and use.run.fence for use in source.attempts] == [1, 2, None]


def test_net_is_charged_less_given_back():
    assert CostSource(charged_micro=50, refunded_micro=20, source="x").net_micro == 30
