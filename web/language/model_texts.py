"""Names that Django makes of class and field names, and titles of columns and actions: what the
admin shows, read from the syntax tree like other texts (`python_texts`)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import allauth
from django.utils.text import camel_case_to_spaces

from web.language.python_texts import is_shown

APPS = ("accounts", "assistants", "billing", "inference", "projects", "training")
# Of allauth, by its app: shown in the admin beside ours.
SIGN_IN_MODELS = {"mfa": "Authenticator", "usersessions": "UserSession"}
TITLED = {"description", "label", "search_help_text"}
# Before names of Django's making, so that nothing that people named so is translated elsewhere.
NAME = "Admin: "


def texts_of(root: Path) -> Iterator[tuple[str, str, int]]:
    """(Text, place, line) of every app, and of its models, fields, columns and actions."""
    yield f"{NAME}Operators", "config/urls.py", 0
    for app, model in SIGN_IN_MODELS.items():
        for text, _ in names_in(Path(allauth.__file__).parent / app / "models.py", {model}):
            yield NAME + text, "accounts/admin/sign_in.py", 0
    for app in APPS:
        yield NAME + app.capitalize(), f"{app}/apps.py", 0
        files = sorted((root / app).rglob("*.py"))
        pages = [path for path in files if "admin" in {*path.parts, path.stem}]
        shown = {name for path in pages for name in _words_in(path)}
        for path in files:
            place = path.relative_to(root).as_posix()
            if path in pages:
                yield from ((text, place, line) for text, line in titles_in(path))
            elif "models" in path.parts:
                yield from ((NAME + text, place, line) for text, line in names_in(path, shown))


def _words_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):  # As in `models.Plan`.
            yield node.attr


def titles_in(path: Path) -> Iterator[tuple[str, int]]:
    """Titles of columns and actions; those of several words are texts like others."""
    for node in ast.walk(ast.parse(path.read_text())):
        for keyword in node.keywords if isinstance(node, ast.Call) else []:
            title = str(keyword.value.value) if isinstance(keyword.value, ast.Constant) else ""
            if keyword.arg in TITLED and title and not is_shown(title):
                yield NAME + title, keyword.value.lineno


def names_in(path: Path, shown: set[str]) -> Iterator[tuple[str, int]]:
    """Names of these models, where they are in this file, and of their fields."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name in shown:
            yield from _names_of_model(node)


def _names_of_model(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    own = [line for line in node.body if isinstance(line, ast.Assign)]
    fields = [line for line in own if _is_field(line.value)]
    if not fields:
        return
    name, plural = camel_case_to_spaces(node.name), ""
    for meta in node.body:
        if isinstance(meta, ast.ClassDef) and meta.name == "Meta":
            values = {
                _target(line): line.value for line in meta.body if isinstance(line, ast.Assign)
            }
            name, plural = (
                str(value.value) if isinstance(value, ast.Constant) else other
                for value, other in (
                    (values.get("verbose_name"), name),
                    (values.get("verbose_name_plural"), ""),
                )
            )
    yield name, node.lineno
    yield plural or f"{name}s", node.lineno
    for line in fields:
        field = _target(line)
        yield field.replace("_", " "), line.lineno
        if field.endswith(("_micro", "_cents")):  # Shown in dollars: see web.admin.
            yield field.rpartition("_")[0].replace("_", " "), line.lineno


def _target(line: ast.Assign) -> str:
    return line.targets[0].id if isinstance(line.targets[0], ast.Name) else ""


def _is_field(value: ast.expr) -> bool:
    """`models.CharField(…)`, `ArrayField(…)` and the like."""
    if not isinstance(value, ast.Call):
        return False
    name = (
        value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    )
    return name.endswith(("Field", "ForeignKey"))
