"""What must be done once before the processes start: tables, static files, the demo team.

One process for all three, because loading Django is most of the work.
"""

import gc
import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from django.conf import settings
from django.core.management import CommandError, call_command


def prepare() -> str:
    """Bring everything up to date; returns the output of the command that seeds the demo."""
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 5, 10)  # As manage.py does it for `migrate`.
    call_command("migrate", interactive=False, verbosity=0)
    gc.set_threshold(*usual)
    _collect_static()
    return _seed_demo()


def _collect_static() -> None:
    """Only when a file changed, because compressing takes seconds."""
    root = Path(settings.STATIC_ROOT)
    stamp = root.with_name(f"{root.name}.complete")
    fingerprint = _static_fingerprint()
    if root.is_dir() and stamp.exists() and stamp.read_text() == fingerprint:
        return
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    stamp.write_text(fingerprint)


def _static_fingerprint() -> str:
    """Changes with our own files, the web assets and the packages that bring files along."""
    digest = hashlib.sha256()
    for path in _static_sources(settings.BASE_DIR):
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _static_sources(project: Path) -> Iterator[Path]:
    bundle = "web/browser/static_bundle.py"
    yield from (project / name for name in ("package-lock.json", "requirements-web.txt", bundle))
    for folder in sorted([project / "static", *project.glob("*/static")]):
        yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _seed_demo() -> str:
    if not settings.DEMO:
        return ""
    output = io.StringIO()
    try:
        call_command("seed_demo", stdout=output)
    except CommandError as error:
        # Without the demo everything else still works.
        return f"The demo team could not be made: {error}"
    return output.getvalue().strip()


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(prepare())
