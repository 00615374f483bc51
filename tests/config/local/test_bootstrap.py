"""Preparing a checkout: what is whole is left alone, what is not is made again."""

import json
from pathlib import Path

import pytest

from config.local import bootstrap


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, project: Path) -> list[str]:
    """The commands that would run; making an environment makes its folder."""
    deeds: list[str] = []

    def run(command: list[str], deed: str, folder: Path | None = None) -> None:
        deeds.append(deed)
        (project / ".venv" / "bin").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(bootstrap, "run_command", run)
    monkeypatch.setattr(bootstrap, "can_start_python", lambda venv: True)
    return deeds


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("one==1\ntwo==2\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\nthree==3\n")
    return tmp_path


MADE, INSTALLED = "Making the virtual environment", "Installing the Python packages"


def test_a_bare_checkout_gets_everything_and_then_nothing_more(
    project: Path, ran: list[str]
) -> None:
    bootstrap.install_packages(project, with_dev=False)
    assert ran == [MADE, INSTALLED]
    bootstrap.install_packages(project, with_dev=False)
    assert ran == [MADE, INSTALLED]


def test_a_half_made_environment_is_made_again(project: Path, ran: list[str]) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    bootstrap.install_packages(project, with_dev=False)
    assert ran == [MADE, INSTALLED]


def test_a_failed_installation_leaves_no_stamp(
    project: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap.install_packages(project, with_dev=False)
    (project / "requirements.txt").write_text("one==2\n")

    def fail(*_: object) -> None:
        raise bootstrap.BootstrapError("no network")

    monkeypatch.setattr(bootstrap, "run_command", fail)
    with pytest.raises(bootstrap.BootstrapError):
        bootstrap.install_packages(project, with_dev=False)
    assert bootstrap.read_stamp(project / ".venv") is None


def test_a_changed_lock_is_installed_into_the_same_environment(
    project: Path, ran: list[str]
) -> None:
    bootstrap.install_packages(project, with_dev=False)
    (project / "requirements.txt").write_text("one==2\n")
    bootstrap.install_packages(project, with_dev=False)
    assert ran == [MADE, INSTALLED, INSTALLED]


def test_a_moved_environment_is_made_again(project: Path, ran: list[str]) -> None:
    bootstrap.install_packages(project, with_dev=False)
    stamp = project / ".venv" / bootstrap.STAMP_FILE
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"place": "/elsewhere/.venv"}))
    bootstrap.install_packages(project, with_dev=False)
    assert ran == [MADE, INSTALLED, MADE, INSTALLED]


@pytest.mark.slow
def test_a_linked_environment_is_replaced_and_what_it_leads_to_left_alone(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "kept").touch()
    (project / ".venv").symlink_to(elsewhere)
    bootstrap._create_venv(project / ".venv")
    assert (elsewhere / "kept").exists()
    assert (project / ".venv" / "bin" / "python").exists()


def test_running_after_testing_does_not_take_the_test_tools_away(
    project: Path, ran: list[str]
) -> None:
    bootstrap.install_packages(project, with_dev=True)
    bootstrap.install_packages(project, with_dev=False)
    bootstrap.install_packages(project, with_dev=True)
    assert ran == [MADE, INSTALLED]


def test_a_failure_is_explained() -> None:
    lines = ["Collecting torch", "ERROR: Could not install: [Errno 28] No space left on device"]
    sentence = bootstrap.format_failure("Installing the Python packages", lines)
    assert sentence.endswith("Installing the Python packages failed. The disk is full.")
    assert lines[1] in sentence


def test_a_failing_command_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(bootstrap.BootstrapError, match="(?s)oh no.*Trying failed"):
        bootstrap.run_command(["/bin/sh", "-c", "echo oh no; exit 3"], "Trying", folder=tmp_path)
