"""What every endpoint shares: one error shape, one list shape."""

import re

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.models import Team
from web.api import SEND_A_TOKEN, BadParameter, cursor_page, exception_handler
from web.errors import NotAllowed, UserError, error_type_for_status
from web.validation.fields import ChoiceField


def handled(error: Exception) -> tuple[int, dict]:
    answer = exception_handler(error, {})
    assert set(answer.data["error"]) == {"message", "type", "param", "code"}
    return answer.status_code, answer.data["error"]


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (UserError("No.", param="name"), 400, "invalid_request", "No."),
        (NotAllowed(), 403, "permission_denied", NotAllowed.sentence),
        (Http404(), 404, "not_found", "There is no such thing here."),
        (PermissionDenied(), 403, "permission_denied", "You may not do this."),
        (ValidationError("Bad id."), 400, "invalid_parameter", "Bad id."),
        (exceptions.NotAuthenticated("Who?"), 401, "not_authenticated", SEND_A_TOKEN),
        (
            exceptions.MethodNotAllowed("PUT"),
            405,
            "method_not_allowed",
            'Method "PUT" not allowed.',
        ),
    ],
)
def test_every_refusal_has_the_one_shape(error, status, code, message):
    answered, body = handled(error)
    assert (answered, body["code"], body["message"]) == (status, code, message)


def test_what_nobody_expected_is_left_to_the_500_page():
    assert exception_handler(RuntimeError("broken"), {}) is None


@pytest.mark.parametrize(
    ("detail", "param", "message"),
    [
        ({"name": ["Too long."]}, "name", "name: Too long."),
        ({"a": {"b": [{}, {"c": ["Bad."]}]}}, "a.b", "a.b: {}"),
        ({"ok": [], "bad": ["No."]}, "bad", "bad: No."),
        ({"non_field_errors": ["Both or none."]}, None, "Both or none."),
        ({"a": {"non_field_errors": ["Both."]}}, "a", "a: Both."),
        (["Alone."], None, "Alone."),
    ],
)
def test_the_first_field_at_fault_is_named(detail, param, message):
    _, body = handled(exceptions.ValidationError(detail))
    assert (body["param"], body["message"]) == (param, message)


def test_a_pointless_retry_is_said_to_be_one_and_a_wait_is_told():
    class Conflict(UserError):
        status = 409

    assert exception_handler(Conflict(), {})["x-should-retry"] == "false"
    assert "x-should-retry" not in exception_handler(NotAllowed(), {})
    assert exception_handler(exceptions.Throttled(wait=2.5), {})["Retry-After"] == "4"


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "insufficient_quota"),
        (403, "permission_error"),
        (404, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_families_of_errors(status, family):
    assert error_type_for_status(status) == family


def page(query: str = "", order: str = "-created_at") -> dict:
    request = Request(APIRequestFactory().get(f"/?{query}"))
    return cursor_page(request, Team.objects.all(), lambda team: {"id": team.slug}, order).data


@pytest.fixture
def teams(db) -> list[Team]:
    """Five, two of them of one moment."""
    rows = [Team.objects.create(name=f"T{n}", slug=f"t{n}") for n in range(5)]
    Team.objects.filter(pk=rows[3].pk).update(created_at=rows[2].created_at)
    return rows


@pytest.mark.parametrize("order", ["-created_at", "created_at", "slug"])
def test_pages_follow_each_other_without_gap_or_repetition(teams, order):
    seen, after = [], ""
    while True:
        content = page(f"limit=2{after}", order)
        seen += [row["id"] for row in content["data"]]
        if not content["has_more"]:
            break
        after = f"&after={Team.objects.get(slug=seen[-1]).pk}"
    assert sorted(seen) == [team.slug for team in teams]
    assert content["object"] == "list"


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", "", "²"])
def test_a_limit_out_of_range_is_refused(teams, limit):
    with pytest.raises(BadParameter, match="from 1 to 100"):
        page(f"limit={limit}")


@pytest.mark.parametrize("after", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_cursor_is_refused(teams, after):
    with pytest.raises(BadParameter, match="after"):
        page(f"after={after}")


def test_an_exact_page_has_no_more(teams):
    assert page("limit=5")["has_more"] is False
    assert page("limit=4")["has_more"] is True


@pytest.fixture(scope="module")
def reference():
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(request=None, public=True)


def operations(reference):
    return [
        (f"{method} {path}", operation)
        for path, methods in reference["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_call_of_the_reference_says_in_a_line_what_it_does(reference):
    summaries = {name: operation.get("summary", "") for name, operation in operations(reference)}
    assert len(summaries) > 100
    wrong = {name: text for name, text in summaries.items() if not 3 <= len(text) <= 130}
    assert wrong == {}
    assert not [name for name, text in summaries.items() if "DRF" in text]


def test_the_reference_begins_with_what_somebody_new_needs(reference):
    described = [tag["name"] for tag in reference["tags"]]
    used = {tag for _, operation in operations(reference) for tag in operation["tags"]}
    assert described[:2] == ["datasets", "training-jobs"]
    assert set(described) == used


def test_the_calls_that_the_reference_links_to_are_in_it(reference):
    known = {
        f"#/{operation['tags'][0]}/{operation['operationId']}"
        for _, operation in operations(reference)
    }
    linked = re.findall(r"\((#/[^)]+)\)", reference["info"]["description"])
    assert len(linked) == 4
    assert set(linked) <= known


def test_a_refused_method_says_which_ones_there_are(api, token):
    answer = api(token).put("/api/v1/training-jobs/estimate")
    assert answer.json()["error"]["message"] == "Use POST here, not PUT."
    assert "GET" in api(token).delete("/api/v1/me").json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/v1/nope", "/api/v1/projects/x/y/z"])
def test_an_address_that_is_none_is_named(api, token, path):
    answer = api(token).get(path)
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        404,
        f"There is no GET {path}.",
    )


def test_every_choice_of_the_api_names_what_may_be_chosen():
    """A program's author reads the refusal, and does not know our values."""
    waiting, seen, silent = list(serializers.Serializer.__subclasses__()), set(), set()
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one.__module__.startswith(("rest_framework", "drf_spectacular")) or one in seen:
            continue
        seen.add(one)
        for name, field in one._declared_fields.items():
            if isinstance(field, serializers.ChoiceField) and not isinstance(field, ChoiceField):
                silent.add(f"{one.__module__}.{one.__name__}.{name}")
    assert len(seen) > 50
    assert silent == set()


@pytest.mark.parametrize("score", [0, "up", 2, None, [1]])
def test_a_choice_that_is_none_is_answered_with_the_choices(api, token, score):
    answer = api(token).post("/api/v1/feedback", {"request_id": "x", "score": score}, format="json")
    assert answer.status_code == 400
    if score is not None:
        assert answer.json()["error"]["message"] == "score: It must be one of: -1, 1."
