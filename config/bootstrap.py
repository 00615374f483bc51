"""Make this checkout ready to run: a virtual environment with the locked packages, and web assets.

Runs on a bare Python with nothing installed. Every step leaves a stamp when it is complete, so that
what is up to date costs nothing, and what was interrupted half-way is made again.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

PROJECT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
PROGRESS_SECONDS = 15
STAMP = ".complete"
LOCK = "requirements.txt"
DEV_LOCK = "requirements-dev.txt"

_OFFLINE = "The package registry cannot be reached: is there a network?"
# What pip or npm say, and what it means to the person at the keyboard.
_MEANINGS = {
    "No space left": "The disk is full.",
    "Temporary failure in name resolution": _OFFLINE,
    "Failed to establish a new connection": _OFFLINE,
    "ENOTFOUND": "The package registry cannot be reached: is there a network?",
    "EAI_AGAIN": "The package registry cannot be reached: is there a network?",
    "ECONNREFUSED": "The package registry cannot be reached: is there a network?",
    "ensurepip is not available": "Python has no venv module; on Debian: apt install python3-venv.",
    "No matching distribution found": "A package has no build for this Python or machine.",
}


class Stamp(TypedDict):
    """Written into a virtual environment once it is complete."""

    place: str
    locks: dict[str, str]  # File name: SHA-256 of its content.


class BootstrapError(RuntimeError):
    """A step failed; the message is for the person who typed `make`."""


def prepare(project: Path, with_dev: bool) -> None:
    """Bring the virtual environment and the web assets up to date with their locks."""
    # A lock on the folder itself leaves no file behind, and vanishes with its owner.
    folder = os.open(project, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        prepare_packages(project, with_dev)
        prepare_assets(project)
    finally:
        os.close(folder)


def prepare_packages(project: Path, with_dev: bool) -> None:
    """Install the locked Python packages into `.venv`, which is rebuilt when it is not whole."""
    venv = project / ".venv"
    installed = read_stamp(venv)
    with_dev = with_dev or (installed is not None and DEV_LOCK in installed["locks"])
    wanted = describe(project, with_dev)
    # An environment that was moved still runs, but its commands start the Python of the old place.
    is_usable = installed is not None and installed["place"] == wanted["place"] and runs(venv)
    if is_usable and installed == wanted:
        return
    if not is_usable:
        _make_venv(venv)
    # From here until the end the environment is not to be trusted.
    (venv / STAMP).unlink(missing_ok=True)
    lock = DEV_LOCK if with_dev else LOCK
    count = sum(1 for name in wanted["locks"] for _ in _pins(project / name))
    say(f"Installing {count} Python packages. The first time this takes a few minutes.")
    run(
        [f"{venv}/bin/python", "-m", "pip", "install", "--no-input", "--progress-bar=off"]
        # Python compiles what is imported; compiling all of it now would take a minute.
        + ["--disable-pip-version-check", "--no-compile", "--requirement", str(project / lock)],
        "Installing the Python packages",
    )
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        _compile(venv)
    (venv / STAMP).write_text(json.dumps(wanted))


def _compile(venv: Path) -> None:
    """Where imports may not write bytecode, every start of a process would compile torch again."""
    say("Compiling the packages.")
    command = [f"{venv}/bin/python", "-m", "compileall", "-qq", "-j", "0", f"{venv}/lib"]
    # Some packages carry files for other Pythons, which do not compile and are not imported; and
    # without any bytecode everything still works, only slower.
    with suppress(OSError):
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def prepare_assets(project: Path) -> None:
    """Install the locked web assets into `node_modules`."""
    lock, stamp = project / "package-lock.json", project / "node_modules" / STAMP
    wanted = digest(lock)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("Installing the web assets.")
    flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--omit-lockfile-registry-resolved"]
    run([str(find_npm(project)), "ci", *flags], "Installing the web assets", folder=project)
    stamp.write_text(wanted)


def describe(project: Path, with_dev: bool) -> Stamp:
    """What a complete environment's stamp says: where it is and from which locks it was made."""
    names = [LOCK, DEV_LOCK] if with_dev else [LOCK]
    return {
        "place": str(project / ".venv"),
        "locks": {name: digest(project / name) for name in names},
    }


def read_stamp(venv: Path) -> Stamp | None:
    """The stamp of a complete environment; None when it is not complete."""
    try:
        stamp = json.loads((venv / STAMP).read_text())
        return Stamp(place=stamp["place"], locks=stamp["locks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def runs(venv: Path) -> bool:
    """Whether the environment's Python still starts: the one it was made from may be gone."""
    try:
        command = [f"{venv}/bin/python", "-c", "import pip"]
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def find_npm(project: Path) -> Path:
    """npm from the PATH when it works, else the one that came with the Python packages."""
    own = project / ".venv" / "bin" / "npm"
    found = shutil.which("npm")
    if found and not subprocess.run([found, "--version"], capture_output=True).returncode:
        return Path(found)
    # npm starts `node` by name, and finds the one beside it.
    os.environ["PATH"] = f"{own.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return own


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def say(sentence: str) -> None:
    print(sentence, flush=True)


def run(command: list[str], deed: str, folder: Path | None = None) -> None:
    """Run quietly, now and then saying how far it is; BootstrapError tells the output's end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lines: list[str] = []
    finished = threading.Event()
    threading.Thread(target=_tell_progress, args=(lines, finished), daemon=True).start()
    try:
        lines.extend(line.rstrip() for line in process.stdout or ())
    finally:
        finished.set()
        process.wait()
    if process.returncode:
        raise BootstrapError(explain(deed, lines))


def explain(deed: str, lines: list[str]) -> str:
    """One sentence on the cause where it is a known one, and the end of what was said."""
    said = "\n".join(lines)
    meaning = next((meaning for sign, meaning in _MEANINGS.items() if sign in said), "")
    return "\n".join([*lines[-15:], "", f"{deed} failed. {meaning}".strip()])


def _tell_progress(lines: list[str], finished: threading.Event) -> None:
    started = time.monotonic()
    while not finished.wait(PROGRESS_SECONDS):
        collected = sum(line.startswith("Collecting ") for line in lines)
        stage = f", {collected} packages looked up" if collected else ""
        if any(line.startswith("Installing collected packages") for line in lines):
            stage = ", unpacking"
        say(f"  … {time.monotonic() - started:.0f} s{stage}")


def _make_venv(venv: Path) -> None:
    say(
        "Making the virtual environment."
        if not venv.exists()
        else "Remaking .venv: it is not whole."
    )
    if venv.is_symlink():
        venv.unlink()  # What it leads to belongs to somebody else.
    run([sys.executable, "-m", "venv", "--clear", str(venv)], "Making the virtual environment")


def _pins(lock: Path) -> list[str]:
    return [line for line in lock.read_text().splitlines() if "==" in line]


def main() -> None:
    """`python3 config/bootstrap.py [--dev]`; --dev adds what tests and checks need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also install test and check tools")
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("Lathe needs Python 3.11 or newer. Name one with: make PYTHON=python3.12 …")
    try:
        prepare(PROJECT, with_dev=arguments.dev)
    except BootstrapError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted; the next run picks up from here.")


if __name__ == "__main__":
    main()
