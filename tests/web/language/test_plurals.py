"""No text says "1 rows": a number that can be 1 has a text of its own for it."""

import re
from copy import copy
from functools import cache
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils.translation import override

from billing.metering.usage_events import UsageRecord, record_usage
from billing.pricing import ONE_UNIT, format_quantity
from inference.models import Deployment
from projects.models import ImportStatus
from web.language import catalog
from web.language.sentences import translated

HOLE = re.compile(r"%\(\w+\)s|\{\w*\}")
COUNTED = re.compile(r"(?:%\((\w+)\)s|\{(\w*)\})(?:</\w+>)? (?:[a-z-]+ )?([a-z]+s)\b")
# Words that end in s and count nothing: what a name does, and small words.
NO_PLURALS = re.compile(
    r"is|was|has|as|its|this|does|says|of|answers|holds|waits|leaves|names|gives|keeps|knows|needs"
    r"|reads|comes|makes|stops|succeeds|goes|gets|writes|shows|invites|sums|ms|less"
)
# Values that are words, before a plural noun or a verb: "Cells of {name} hold lists".
WORDS = {"name", "column", "cells", "example", "code", "drawn", "missing", "retired_at", "key"}
WORDS |= {"validation_preference_accuracy"}
# Limits, settings of methods, examples of prices: constants above 1.
CONSTANTS = re.compile(
    r"(max|min|example|small_group|shapley|wait|deadline|best|pgd|integration|calibration|shadow"
    r"|max_named)_\w+|(\w+_)?resamples|trash_days|too_long|patches_per_side|baseline_side|longest"
)
# What a number is that is never 1 there, by what follows from it on.
NEVER_ONE = {
    "{most} rows of a label": "at least MIN_CAP of projects.profiling.findings.classes",
    "%(max)s characters, mean": "the end of a range",
    "{number_2} tokens)": "the end of a range",
    "{all_labels} labels": "more than one, or the method is not said",
    "{rows} training rows seem": "labels are examined from 60 rows on",
    "{value} points": "a number with decimals",
    "{value} points (": "a number with decimals",
    "{value} points more": "a number with decimals",
    "{value} points between": "a number with decimals",
    "{number} points better": "a number with decimals",
    "{number} points worse": "a number with decimals",
    "{number} points to": "a number with decimals",
    "{number_2} points": "a number with decimals",
    "{affordable} seconds of": "a number with decimals",
    "{lost} fewer questions than": "a share in percent",
    "{anomaly_factor} times the": "a constant above 1",
    "{repeats} shuffles (": "a constant above 1",
    "{train} examples can repeat": "training needs more rows",
    "%(train_rows)s rows, choose": "training needs more rows",
    "{min} training rows, word": "training needs more rows",
    "{number_half} rows and": "a learning curve needs more rows",
    "{most} seconds (": "the end of a range",
    "{labels} different labels in": "too many labels",
    "{counts} different labels in": "too many labels",
    "{counts} different labels for": "too many labels",
    "{rows} rows; at most {max_labels}": "the rows of too many labels",
    "{targets} rows. Is it a number?": "the rows of too many labels",
    "{rows} pictures; each needs": "the pictures of too many labels",
    "{before} parameters to": "of a neural network",
    "{slices} parts.": "one part has another sentence",
    "{rejected} rows could be": "one row has another sentence",
    "{count} trials came": "one trial has another sentence",
    "{rows} rows cannot be": "one row has another sentence",
    "{rows} rows.": "one row has another sentence",
    "{lost_before} times, so": "the first time has another sentence",
    "{repeats} times over": "once has no such words",
    "{before} jobs ahead": "one job has other words",
    "{minutes} minutes": "one minute has other words",
    "{n} minutes.": "two at least",
    "{n} hours.": "an hour and a half, rounded up",
    "{seconds} minutes": "90 seconds, rounded up",
    "{test} test rows {answered}": "more than are answered",
    "%(matching)s rows · page %(page)s": "above a limit",
    "{matching} rows match": "above a limit",
    "{num_rows} rows; at most": "above a limit",
    "{rows} rows; at most {max_rows}": "above a limit",
    "{value} rows; from 1 to": "above a limit, or 0",
    "{names} columns; at most": "above a limit",
    "{kinds} different fields; at most": "above a limit",
    "{prompt_tokens} tokens; the model": "above a limit",
    "{pages} pages; at most": "above a limit",
    "{infos} files; at most": "above a limit",
    "%(columns)s columns.": "more than 60",
    "%(scores)s labels.": "more than ten",
    "{fits} further models were": "one for each part of the data",
    "{trials} trials: another": "a search has two at least",
    "{trials} trials{budget}": "a search has two at least",
    "{budget} seconds.": "a search has ten at least",
    "{tables} tables. Which": "one alone is the dataset",
    "{marks} columns (": "one alone is the label",
    "{filled} cells of": "nine in ten of them are numbers, and two are not",
    "{number} values over": "a label has two values at least",
    "{unique} values over": "a label has two values at least",
    "{number_2} rows.": "more rows than values",
    "{number_2} rows: {why}": "more rows than values",
    "{filled} rows": "more rows than values",
    "{pieces} pieces, one by one": "a power of two",
    "{width} zeros and ones": "several labels",
    "{height} pixels; at most": "a side of a picture",
    "{number_rows} rows {best_words}": "six at least have folds",
    "{days} days were joined": "one day is read as any other file",
    "{estimate} rows, by": "above a limit",
    "{filled_2} cells of {name} are limits": "two at least",
    "{side} pixels": "a side of a picture",
    "%(median_height)s pixels, sides": "a side of a picture",
}


@cache
def messages():
    return [entry.id for entry in catalog.load("zh_Hans") if entry.id]


def plain(text):
    return HOLE.sub("{}", text)


def counted_without_one(texts):
    """(What is counted, the message from there on) where a number stands before a plural noun, the
    message has no plural form, and no other message says the same of one."""
    starts = {plain(text) for text in texts if isinstance(text, str)}
    for text in texts:
        for hit in COUNTED.finditer(text) if isinstance(text, str) else ():
            name, noun = hit[1] or hit[2], hit[3]
            if NO_PLURALS.fullmatch(noun) or name in WORDS or CONSTANTS.fullmatch(name):
                continue
            of_one = re.compile(re.escape(plain(text[: hit.start()])) + rf"1 ([a-z-]+ )?{noun[:2]}")
            if not any(of_one.match(other) for other in starts):
                yield hit[0], text[hit.start() :]


def is_excused(counted, rest):
    """What is counted alone excuses only what ends there."""
    return any(
        rest == start or (rest.startswith(start) and len(start) > len(counted))
        for start in NEVER_ONE
    )


def test_every_counted_noun_has_a_text_for_one():
    found = [
        rest for counted, rest in counted_without_one(messages()) if not is_excused(counted, rest)
    ]
    assert found == [], "Say it of 1, too, or say in NEVER_ONE why that cannot be."


def test_every_excuse_is_needed():
    found = list(counted_without_one(messages()))
    unused = [start for start in NEVER_ONE if not any(rest.startswith(start) for _, rest in found)]
    assert unused == []


@pytest.mark.parametrize(
    ("texts", "refused"),
    [
        (["%(requests)s requests in 24 h"], 1),
        (["It holds <b>{rows}</b> empty rows."], 1),
        (["{count} rows added"], 1),
        (["{count} rows added", "1 row added"], 0),
        (["{name} holds {count} rows", "{one} holds 1 row"], 0),
        (["{name} holds {count} rows", "1 row"], 1),
        ([("%(n)s request", "%(n)s requests")], 0),
        (["At most {max_rows} rows are read."], 0),
        (["{name} answers now."], 0),
    ],
)
def test_the_walk_finds_what_has_no_text_for_one(texts, refused):
    assert len(list(counted_without_one(texts))) == refused


def shown(client, url, **headers):
    """The words of a page, with one blank between."""
    page = client.get(url, **headers)
    assert page.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())


@pytest.mark.parametrize(
    ("requests", "english", "chinese"),
    [
        (1, "1 request in 24 h", "24 小时内 1 次请求"),
        (2, "2 requests in 24 h", "24 小时内 2 次请求"),
        (1234, "1,234 requests in 24 h", "24 小时内 1,234 次请求"),
    ],
)
def test_the_overview_counts_requests(things, alice, client_of, requests, english, chinese):
    endpoint = Deployment.objects.get()
    record_usage([
        UsageRecord(
            team_id=endpoint.team_id, source=endpoint.source, event_key="1", units=10,
            requests=requests,
        )
    ])  # fmt: skip
    client, url = client_of(alice), reverse("projects:overview", args=[endpoint.team.slug])
    assert english in shown(client, url)
    assert chinese in shown(client, url, HTTP_ACCEPT_LANGUAGE="zh-CN")


@pytest.mark.parametrize(("rows", "words"), [(1, "1 row"), (2, "2 rows"), (1234, "1,234 rows")])
def test_a_dataset_counts_its_rows_and_changes(dataset_version, alice, client_of, rows, words):
    edit = {"op": "drop_rows", "rows": list(range(rows))}
    newer = copy(dataset_version)
    newer.pk, newer.number, newer.rows, newer.overrides = uuid4(), 2, rows, {"edits": [edit]}
    newer.save(force_insert=True)
    client = client_of(alice)
    url = reverse("projects:dataset", args=[dataset_version.dataset_id])
    page = shown(client, f"{url}?tab=rows")
    assert f"{words} 2 columns" in page
    assert f"Version 2 · {words} " in page
    assert f"{words} · page 1 of" in page
    assert f"{words} deleted" in shown(client, f"{url}?tab=versions")


def test_a_version_whose_rows_nobody_knows_yet_is_listed(dataset_version, alice, client_of):
    newer = copy(dataset_version)
    newer.pk, newer.number, newer.rows, newer.parquet_key = uuid4(), 2, None, ""
    newer.status, newer.finished_at = ImportStatus.IMPORTING, None
    newer.save(force_insert=True)
    page = shown(client_of(alice), reverse("projects:dataset", args=[newer.dataset_id]))
    assert "Version 2 Version 1 · 200 rows" in page


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("sku", [*ONE_UNIT, "gpu-seconds"])
def test_a_quantity_on_a_bill_has_its_unit_in_its_number(sku, units):
    assert format_quantity(sku, units).endswith("s") == (units > 1)


def test_a_note_of_one_row_is_translated_as_a_whole():
    with override("zh-hans"):
        assert translated("1 row has no label: skipped.") == "1 行没有 label：已跳过。"
        assert translated("12 rows have no label: skipped.") == "12 行没有 label：已跳过。"
        assert translated("cats: 1 row") == "cats：1 行"
