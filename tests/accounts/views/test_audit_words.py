"""The audit log reads as sentences, whatever was done."""

import ast
import re
from pathlib import Path

import pytest

from accounts.templatetags.audit_words import DEEDS, NOUNS, action_words, told_details

APPS = ("accounts", "billing", "projects", "training", "inference", "assistants")
OF_OPERATORS = re.compile(r"/admin/|worker|reconciliation|/stripe/(account|webhooks|usage_outbox)")


def recorded_actions() -> set[str]:
    """The constant actions of every call that writes into the log of a team."""
    found = set()
    for path in (path for app in APPS for path in Path(app).rglob("*.py")):
        if OF_OPERATORS.search(str(path)):
            continue
        for call in (
            one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)
        ):
            if re.search(r"(audit\.record|record_change|^record|_change)$", ast.unparse(call.func)):
                values = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
                found |= {text for text in values if re.fullmatch(r"[a-z_]+\.[a-z_-]+", str(text))}
    return found


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
