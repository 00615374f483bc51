"""Names that only this code base used for what has a standard name do not come back."""

import ast

import pytest

from tests.architecture.imports import module_name, same_worker, source_files, syntax_nodes

pytestmark = same_worker
# In any app: the last part of a module's name.
OLD_MODULES = {
    "alone": "advisory_lock",
    "patience": "db_retry or thread_env",
    "paging": "pagination",
    "live": "sse",
    "nudging": "web.enqueue",
    "telling": "fan_out",
    "wishes": "preferences",
    "mailing": "email",
    "mail_round": "email",
    "sealing": "secret_encryption",
    "freezing": "suspension",
    "signed_in": "web.requests",
    "delivering": "delivery",
    "opening": "lifecycle",
    "suggesting": "schema_inference",
    "booking": "posting",
    "holding": "holds",
    "watching": "holds",
    "persisting": "account",
    "stripe_facts": "dtos",
    "subscribing": "subscriptions",
    "paying_back": "top_ups",
    "lanes": "rows",
    "again": "actions",
    "control": "actions",
    "offer": "launch_preview",
    "turns": "queue_order",
    "heart": "heartbeat",
    "presence": "worker_heartbeat",
    "leaving": "shutdown",
    "orphans": "garbage_collection",
    "shelf": "model_cache",
    "fresh": "ttl_cache",
    "passes": "internal_token",
    "passthrough": "reverse_proxy",
    "asking": "forms.playground",
    "goals": "prediction_heads",
    "remembered": "activation_cache",
    "attacking": "adversarial_attacks",
    "shrinking": "pruning",
    "sharing": "strategies",
    "door": "admission",
    "waiting_line": "admission_queue",
}
# In any module: a class or function.
OLD_NAMES = {
    "alone": "try_advisory_lock",
    "patiently": "retry_on_disconnect",
    "fan_out_due": "fan_out_pending",
    "wishes_of": "preferences_of",
    "EmailWish": "EmailPreference",
    "EmailPace": "EmailFrequency",
    "Letter": "EmailTemplate",
    "GuardedBackend": "SsrfGuardBackend",
    "NotAPicture": "InvalidImage",
    "Unreadable": "UnreadableFile",
    "lay_out": "index_archive",
    "CountedUse": "UsageRecord",
    "Pulse": "HeartbeatResult",
    "hold_unusual": "hold_anomalous_teams",
    "Namer": "NameResolver",
    "DayRebuild": "DailyTotalRebuild",
    "Shown": "TopRows",
    "make_once": "create_once",
    "NoMinuteYet": "NoFreeMinute",
    "teams_with_news": "teams_with_pending_usage",
    "Deed": "FormAction",
    "WithDeeds": "FormActionsMixin",
    "Unchangeable": "ReadOnlyAdmin",
    "Offer": "LaunchPreview",
    "offer_for": "preview_launch",
    "AlreadyAgain": "AlreadyRetried",
    "JobMovedOn": "StaleJobState",
    "Shelf": "ModelCache",
    "FreshCache": "SingleFlightTtlCache",
    "Directory": "CachedLookups",
    "Exchange": "Starlette's Request and Response",
    "Refusal": "ApiError",
    "Writers": "GenerationThreads",
    "carry_all": "advance_all",
    "Learner": "TrainableTask",
    "Alone": "SingleProcess",
    "OneLabel": "MultiClass",
    "SeveralLabels": "MultiLabel",
    "RememberedLayers": "CachedLowerLayers",
    "Pupil": "Student",
    "Taught": "TokenizedExample or TeacherData",
    "SaidSoFar": "PenaltyState",
    "JobClock": "ProgressTracker",
}
# Parameters and locals that hid what they hold.
OLD_VARIABLES = {"dials": "hyperparameters", "dice": "rng"}


def test_no_module_has_an_old_name_again():
    found = {
        module_name(path): OLD_MODULES[part]
        for path in source_files()
        for part in module_name(path).split(".")[1:]
        if part in OLD_MODULES
    }
    assert found == {}, "module: its standard name"


def test_no_class_or_function_has_an_old_name_again():
    found = {
        f"{module_name(path)}.{node.name}": OLD_NAMES[node.name]
        for path in source_files()
        for node in syntax_nodes(path)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name in OLD_NAMES
    }
    assert found == {}, "name: its standard name"


@pytest.mark.parametrize("name", OLD_VARIABLES)
def test_no_variable_has_an_old_name_again(name):
    found = {
        module_name(path)
        for path in source_files()
        for node in syntax_nodes(path)
        if (isinstance(node, ast.arg) and node.arg == name)
        or (isinstance(node, ast.Name) and node.id == name)
    }
    assert found == set(), OLD_VARIABLES[name]


def test_modules_are_imported_by_their_own_names():
    """`import deployments as deeds` makes the reader learn a second name. Foreign modules have
    customary ones (`import numpy as np`), and two of one name may need telling apart."""
    ours = {module_name(path) for path in source_files()}
    aliases = {
        f"{module_name(path)}: {node.module}.{alias.name} as {alias.asname}"
        for path in source_files()
        for node in syntax_nodes(path)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
        and f"{node.module}.{alias.name}" in ours
        and not set(alias.asname.split("_")) & set(f"{node.module}.{alias.name}".split("."))
        and alias.name not in alias.asname
    }
    assert aliases == set()
