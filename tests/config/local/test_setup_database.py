"""What is prepared before the processes start."""

import os

import pytest
from django.core.management import CommandError

from config.local import setup_database


@pytest.fixture
def calls(monkeypatch, settings, tmp_path) -> list[str]:
    """The management commands that were called, in a project of two static files."""
    names: list[str] = []

    def call(name: str, **options: object) -> None:
        names.append(name)
        if name == "collectstatic":
            settings.STATIC_ROOT.mkdir(exist_ok=True)

    settings.BASE_DIR, settings.STATIC_ROOT = tmp_path, tmp_path / "var-static"
    for name in ("package-lock.json", "requirements-web.txt", "static/app.css", "web/static/x.js",
                 "web/browser/static_bundle.py"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(setup_database, "call_command", call)
    return names


def test_static_files_are_collected_once_and_again_when_one_changes(calls, tmp_path):
    setup_database._collect_static()
    setup_database._collect_static()
    assert calls == ["collectstatic"]
    os.utime(tmp_path / "static/app.css", ns=(1, 1))
    setup_database._collect_static()
    assert calls == ["collectstatic"] * 2


@pytest.mark.parametrize(
    "changed", ["package-lock.json", "requirements-web.txt", "web/static/new.js"]
)
def test_new_packages_and_new_files_count_as_changes(calls, tmp_path, changed):
    setup_database._collect_static()
    (tmp_path / changed).write_text("something new")
    setup_database._collect_static()
    assert calls == ["collectstatic"] * 2


def test_a_collection_that_was_interrupted_is_made_again(calls, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    setup_database._collect_static()
    setup_database.settings.STATIC_ROOT.rmdir()
    working = setup_database.call_command
    monkeypatch.setattr(setup_database, "call_command", interrupted)
    with pytest.raises(KeyboardInterrupt):
        setup_database._collect_static()
    monkeypatch.setattr(setup_database, "call_command", working)
    setup_database._collect_static()
    assert calls == ["collectstatic"] * 2


def test_no_demo_where_none_is_wanted(calls, settings):
    settings.DEMO = False
    assert setup_database._seed_demo() == ""
    assert calls == []


def test_a_demo_that_fails_prevents_nothing_else(calls, settings, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise CommandError("no compute class")

    settings.DEMO = True
    monkeypatch.setattr(setup_database, "call_command", fail)
    assert setup_database._seed_demo() == "The demo team could not be made: no compute class"
