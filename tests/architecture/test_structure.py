"""What no reviewer should have to check by hand."""

import ast
import os
import re
import subprocess
import sys

import pytest
from django.apps import apps
from django.db.models import ForeignKey

from tests.architecture.imports import PROJECT, source_files

APPS = ["accounts", "billing", "projects", "training", "inference", "assistants"]
BANNED = {"utils", "helpers", "common", "misc", "core", "managers", "base"}
SOURCES = source_files()


def test_foreign_keys_across_apps_leave_no_way_up():
    leaks = [
        f"{model.__name__}.{field.name}"
        for label in APPS
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey)
        and field.related_model._meta.app_label in APPS
        and field.related_model._meta.app_label != label
        and not field.remote_field.hidden
    ]
    assert leaks == []


@pytest.mark.parametrize("door", ["config.urls", "config.asgi", "training.jobs.launch"])
def test_the_web_process_never_loads_torch(door):
    check = (
        "import os, sys, django; django.setup();"
        f"import {door};"
        "heavy = {'torch', 'transformers', 'sklearn', 'onnxruntime', 'stripe'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_no_module_has_a_name_that_says_nothing():
    assert [str(path) for path in SOURCES if path.stem in BANNED] == []


def test_tasks_only_translate():
    for label in APPS:
        path = PROJECT / label / "tasks.py"
        if path.exists():
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef):
                    body = [
                        n
                        for n in node.body
                        if not isinstance(n, ast.Expr) or not isinstance(n.value, ast.Constant)
                    ]
                    assert len(body) <= 2, f"{path}: {node.name}"


def test_only_the_gateway_imports_stripe():
    users = [
        str(path.relative_to(PROJECT))
        for path in SOURCES
        if re.search(r"^\s*(import|from) stripe\b", path.read_text(), re.MULTILINE)
    ]
    assert set(users) <= {"billing/stripe/gateway.py"}


def test_pages_carry_no_inline_script():
    guilty = [
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "templates").rglob("*.html")
        for line in path.read_text().splitlines()
        if ("<script" in line and "src=" not in line) or " onclick=" in line or "hx-on" in line
    ]
    assert guilty == []


def test_no_page_asks_another_host():
    guilty = [
        f"{path.relative_to(PROJECT)}: {line.strip()[:80]}"
        for folder in ("templates", "static")
        for path in (PROJECT / folder).rglob("*")
        if path.suffix in {".html", ".css", ".js"}
        for line in path.read_text().splitlines()
        if any(f'{word}="http' in line for word in ("src", "href", "action")) or "url(http" in line
    ]
    assert guilty == []
