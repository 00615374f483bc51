"""The audit log reads as sentences, whatever was done."""

import ast
import re
from pathlib import Path

import pytest
from django.utils import translation

from accounts.templatetags.audit_words import DEEDS, NOUNS, action_words, told_details
from tests.architecture.imports import PROJECT, same_worker, source_files, syntax_nodes

APPS = ("accounts", "billing", "projects", "training", "inference", "assistants")
OF_OPERATORS = re.compile(r"/admin/|worker|reconciliation|/stripe/(account|webhooks|usage_outbox)")


def files_of_apps() -> list[Path]:
    return [path for path in source_files() if path.relative_to(PROJECT).parts[0] in APPS]


def recorders() -> set[str]:
    """What writes an action: the log's own functions, and those that are told which action."""
    return {"record", "record_change"} | {
        node.name
        for path in files_of_apps()
        for node in syntax_nodes(path)
        if isinstance(node, ast.FunctionDef) and "action" in {arg.arg for arg in node.args.args}
    }


def recorded_actions() -> set[str]:
    """The constant actions of every call that writes into the log of a team."""
    recorded, records = set(), recorders()
    for path in files_of_apps():
        if OF_OPERATORS.search(str(path.relative_to(PROJECT))):
            continue
        for call in (node for node in syntax_nodes(path) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            if name in records or name.endswith("_change"):
                given = [*call.args, *(keyword.value for keyword in call.keywords)]
                values = [arg.value for arg in given if isinstance(arg, ast.Constant)]
                recorded |= {
                    text for text in values if re.fullmatch(r"[a-z_]+\.[a-z_-]+", str(text))
                }
    return recorded


@same_worker
def test_every_action_of_a_team_has_words():
    actions = recorded_actions()
    assert len(actions) > 60
    parts = {action: action.split(".") for action in actions}
    unknown = {
        action for action, (noun, deed) in parts.items() if noun not in NOUNS or deed not in DEEDS
    }
    assert unknown == set()


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("token.created", "API token was created"),
        ("deployment.moved", "Endpoint switched its model"),
        ("job.cancelled", "Fine-tune was cancelled"),
        ("assistant.version-built", "Assistant had a version built"),
        ("dataset.imported-again", "Dataset was imported again"),
        ("something.newer_still", "something newer still"),
    ],
)
def test_actions_read_as_sentences(action, words):
    assert action_words(action) == words


def test_details_are_told_without_ids_and_emptiness():
    detail = {
        "id": "x", "name": "Key", "model": "7ff7b075-9a22-4ec7-9df8-4919958e5dd6",
        "scopes": ["read", "write"], "budget_micro": 2_500_000, "allowed_models": [], "days": None,
        "answers_with": "Tickets",
    }  # fmt: skip
    assert told_details(detail) == [
        ("scopes", ["read", "write"]), ("budget", "$2.50"), ("answers with", "Tickets"),
    ]  # fmt: skip


def test_a_rule_in_the_log_is_in_the_readers_language_and_a_name_is_not():
    rule = "It must not be worse than the deployed model on the same rows."
    with translation.override("zh-hans"):
        details = dict(told_details({"rule": rule, "answers_with": "Label"}))
    assert not re.search("[a-z]", str(details["rule"]))
    assert details["answers with"] == "Label"
