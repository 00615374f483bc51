"""Environments of their own for the rivals that the benchmarks measure."""

import os
import site
import subprocess
import sys
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SETFIT = ["setfit==1.2.0", "datasets"]
AUTOGLUON = ["autogluon.tabular[lightgbm,catboost,xgboost,fastai]==1.6.3"]


def locate_python(name: str, packages: list[str]) -> str:
    """The interpreter of an environment that sees our packages and adds these, which are no
    dependencies of ours. It is made below var/benchmarks when first needed."""
    folder = Path(os.environ.get("LATHE_VAR", PROJECT / "var")) / "benchmarks" / name
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        venv.create(folder, clear=True, with_pip=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        ours = folder / "lib" / version / "site-packages/ours.pth"
        ours.write_text("\n".join(site.getsitepackages()) + "\n")
        run_checked([str(python), "-m", "pip", "install", "--quiet", *packages])
        (folder / "ready").touch()
    return str(python)


def run_checked(command: list[str]) -> str:
    """What the command writes; raises SystemExit with its last words where it fails."""
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout
