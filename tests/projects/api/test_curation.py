"""Versions, profiles, comparisons, masks, fixes and import options over the API."""

import pytest

from accounts.models import TokenScope
from projects.importing import imports
from projects.models import DatasetVersion
from tests.conftest import issue

pytestmark = pytest.mark.django_db
PEOPLE = b"text,label,mail\n" + b"".join(
    b"a question about %d,%s,person%d@example.com\n" % (n, [b"card", b"Card"][n % 10 == 0], n)
    for n in range(60)
)


@pytest.fixture
def ask(api, token):
    """Ask about a dataset; a 202's version is imported."""

    def send(method, dataset, path, body=None, **query):
        client = api(token)
        address = f"/api/v1/datasets/{dataset.dataset_id}/{path}"
        if method == "get":
            return client.get(address, query)
        answer = client.post(address, body, format="json")
        if answer.status_code == 202:
            imports.import_version(answer.json()["version_id"])
        return answer

    return send


def edit(row, value):
    return {"edits": [{"op": "set_cells", "column": "label", "rows": [row], "value": value}]}


def test_versions_name_what_they_were_made_from(ask, bring_in):
    first = bring_in(PEOPLE)
    assert ask("post", first, "edits", edit(1, "money")).status_code == 202
    assert ask("post", first, "edits?version=1", edit(2, "money")).status_code == 202
    page = ask("get", first, "versions", limit=2).json()
    assert [one["version"] for one in page["data"]] == [3, 2]
    assert [one["based_on"] for one in page["data"]] == [1, 1]
    assert page["data"][0]["change"] == "1 cell of label set"
    assert page["has_more"] is True
    rest = ask("get", first, "versions", limit=2, after=page["data"][-1]["id"]).json()
    assert [(one["version"], one["based_on"], one["change"]) for one in rest["data"]] == [
        (1, None, "")
    ]
    assert rest["has_more"] is False


def test_the_profile_of_each_version_is_its_own(ask, bring_in):
    first = bring_in(PEOPLE)
    ask("post", first, "edits", {"edits": [{"op": "drop_rows", "rows": [0, 1, 2]}]})
    assert ask("get", first, "profile").json()["profile"]["rows"] == 57
    older = ask("get", first, "profile", version=1).json()
    assert (older["version"], older["profile"]["rows"]) == (1, 60)
    assert ask("get", first, "profile", version=9).status_code == 404
    DatasetVersion.objects.filter(number=2).delete()
    DatasetVersion.objects.update(status="importing", finished_at=None)
    assert ask("get", first, "profile").json()["error"]["code"] == "dataset_not_ready"


def test_two_versions_are_compared_row_by_row(ask, bring_in):
    first = bring_in(PEOPLE)
    ask("post", first, "edits", edit(4, "money"))
    found = ask("get", first, "compare").json()
    assert (found["older_version"], found["newer_version"]) == (1, 2)
    assert found["counts"] == {"changed": 1, "added": 0, "removed": 0}
    assert found["data"] == [
        {
            "object": "dataset.row_change",
            "change": "changed",
            "number": 4,
            "cells": [{"column": "label", "before": "card", "after": "money"}],
        }
    ]
    back = ask("get", first, "compare", **{"from": 2, "to": 1}).json()
    assert back["data"][0]["cells"][0]["after"] == "card"
    assert ask("get", first, "compare", key="mail").json()["matched_by"] == "mail"


def test_a_long_comparison_comes_in_pages(ask, bring_in):
    first = bring_in(PEOPLE)
    ask("post", first, "edits", {"edits": [{"op": "drop_column", "column": "label"}]})
    rows = list(range(55))
    ask("post", first, "edits?version=1", {"edits": [{"op": "drop_rows", "rows": rows}]})
    query = {"from": 1, "to": 3}
    one = ask("get", first, "compare", **query).json()
    two = ask("get", first, "compare", **query, page=2).json()
    assert (len(one["data"]), one["has_more"]) == (50, True)
    assert (len(two["data"]), two["has_more"]) == (5, False)
    assert ask("get", first, "compare").json()["columns_added"] == ["label"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from": "x"}, 400),
        ({"to": "-1"}, 400),
        ({"from": "7"}, 404),
        ({"key": "nothing"}, 400),
        ({"page": "0"}, 400),
        ({"page": "²"}, 400),
        ({"to": "1"}, 404),
    ],
)
def test_a_comparison_of_what_is_not_there_is_refused(ask, bring_in, query, status):
    first = bring_in(PEOPLE)
    ask("post", first, "edits", edit(4, "money"))
    answer = ask("get", first, "compare", **query)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_personal_data_is_masked_in_a_new_version(ask, bring_in):
    first = bring_in(PEOPLE)
    found = ask("get", first, "profile").json()["profile"]["personal_data"]
    assert [one["column"] for one in found] == ["mail"]
    assert ask("post", first, "mask", {"columns": ["mail"]}).status_code == 202
    rows = ask("get", first, "rows", limit=1).json()["data"]
    assert "example.com" not in rows[0]["values"]["mail"]
    assert ask("get", first, "import-options").json()["chosen"]["mask"] == ["mail"]


@pytest.mark.parametrize("body", [{}, {"columns": []}, {"columns": ["Mail"]}, {"columns": "mail"}])
def test_a_mask_of_no_column_is_refused(ask, bring_in, body):
    answer = ask("post", bring_in(PEOPLE), "mask", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "columns")
    assert DatasetVersion.objects.count() == 1


def test_a_finding_is_fixed_by_its_place(ask, bring_in):
    first = bring_in(PEOPLE)
    findings = ask("get", first, "profile").json()["profile"]["warnings"]
    place = next(number for number, one in enumerate(findings) if "fix" in one)
    fixed = ask("post", first, "fix", {"finding": place})
    assert fixed.status_code == 202
    assert fixed.json()["edits"] == findings[place]["fix"]["edits"]


@pytest.mark.parametrize(
    "body", [{}, {"finding": 99}, {"finding": -1}, {"finding": "x"}, {"finding": 0, "fix": "all"}]
)
def test_a_fix_that_nothing_offers_is_refused(ask, bring_in, body):
    answer = ask("post", bring_in(PEOPLE), "fix", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in ("finding", "fix")


def test_a_file_is_read_another_way(ask, bring_in):
    first = bring_in(b"a;b\n1;2\n3;4\n5;6\n")
    options = ask("get", first, "import-options").json()
    assert (options["chosen"], options["detected"]["delimiter"]) == ({}, ";")
    assert ask("post", first, "import-options", {"delimiter": "tab"}).status_code == 202
    again = ask("get", first, "import-options").json()
    assert again["chosen"] == {"delimiter": "\t"}
    assert len(ask("get", first, "rows").json()["data"][0]["values"]) == 1


def test_edits_are_not_lost_without_saying_so(ask, bring_in):
    first = bring_in(PEOPLE)
    ask("post", first, "edits", edit(1, "money"))
    refused = ask("post", first, "import-options", {"header_rows": 0})
    assert (refused.status_code, refused.json()["error"]["param"]) == (409, "discard_edits")
    agreed = {"header_rows": 0, "discard_edits": True}
    assert ask("post", first, "import-options", agreed).status_code == 202


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"delimiter": "~~"}, "delimiter"),
        ({"header_rows": 11}, "header_rows"),
        ({"skip_lines": "many"}, "skip_lines"),
        ({"encoding": 8}, "encoding"),
        ({"sheet": "x" * 101}, "sheet"),
    ],
)
def test_options_that_the_page_would_refuse_are_refused(ask, bring_in, body, param):
    answer = ask("post", bring_in(PEOPLE), "import-options", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_questions_are_listed_and_answered_by_their_names(ask, bring_in):
    lines = b"".join(b"text %d,%02d/%02d/2024\n" % (n, n % 12 + 1, n % 11 + 1) for n in range(30))
    first = bring_in(b"text,day\n" + lines)
    asked = ask("get", first, "questions").json()
    question = next(one for one in asked["data"] if one["column"] == "day")
    assert len(question["readings"]) >= 2
    assert all(len(one["values"]) == len(question["cells"]) for one in question["readings"])
    chosen = question["readings"][-1]["name"]
    answered = ask("post", first, "readings", {"columns": {"day": chosen}})
    assert answered.status_code == 202
    left = [one["column"] for one in ask("get", first, "questions").json()["data"]]
    assert "day" not in left


@pytest.mark.parametrize("path", ["mask", "fix", "import-options", "readings"])
def test_who_may_only_read_changes_no_version(bring_in, team, alice, api, path):
    version = bring_in(PEOPLE)
    reader = api(issue(team, alice, scopes=[TokenScope.READ]))
    body = {"columns": ["mail"], "finding": 0}
    answer = reader.post(f"/api/v1/datasets/{version.dataset_id}/{path}", body, format="json")
    assert answer.status_code == 403
    assert DatasetVersion.objects.count() == 1
