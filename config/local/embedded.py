"""PostgreSQL and Redis for a machine that has none: started from wheels, found again, stopped.

The servers outlive the command that started them, listen on loopback with generated passwords
and keep everything below one folder (`var`); each such folder is an installation of its own.
"""

import argparse
import fcntl
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from config.local.embedded_paths import (
    Account,
    EmbeddedError,
    account_for,
    ensure_servers_folder,
    locate_binaries,
    write_private_file,
)
from config.local.embedded_postgres import DATABASE_NAME, Postgres
from config.local.embedded_redis import Redis

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ServerUrls:
    """How to reach the running servers, passwords included."""

    database_url: str
    redis_url: str


@dataclass(frozen=True)
class _State:
    """What finds the servers again, beside what they write themselves."""

    servers: str  # The folder with their data.
    postgres_port: int | None = None
    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    redis_port: int | None = None
    redis_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def server_urls(self) -> ServerUrls:
        account = f"{DATABASE_NAME}:{self.postgres_password}"
        address = f"127.0.0.1:{self.postgres_port}"
        return ServerUrls(
            database_url=f"postgresql://{account}@{address}/{DATABASE_NAME}",
            redis_url=f"redis://:{self.redis_password}@127.0.0.1:{self.redis_port}/0",
        )


def default_var_folder() -> Path:
    """The folder named by LATHE_VAR, else `var` in the project."""
    return Path(os.environ.get("LATHE_VAR") or PROJECT_ROOT / "var").resolve()


def ensure_running(var: Path | None = None, *, is_durable: bool = True) -> ServerUrls:
    """Start what is not running; return once both servers answer. Any number may call at once.

    With `is_durable=False` a server started now trades safety in a power cut for speed: for tests.
    """
    folder = _ensure_embedded_folder(var)
    with _exclusive_lock(folder):
        known = _read_state(folder)
        state = known or _State(servers=str(ensure_servers_folder(folder)))
        postgres, redis = _build_servers(state, is_durable)
        if known is None:
            _reset_passwords(postgres, redis, state)
        if postgres.port() != state.postgres_port or state.postgres_port is None:
            postgres.stop()
            port = postgres.start(state.postgres_port, state.postgres_password)
            state = replace(state, postgres_port=port)
        if not redis.is_running():
            port = redis.start(state.redis_port, state.redis_password)
            state = replace(state, redis_port=port)
        if state != known:
            status = folder.stat()  # Also when root starts the servers of an ordinary user.
            owner = Account(status.st_uid, status.st_gid)
            write_private_file(folder / "state.json", json.dumps(asdict(state), indent=1), owner)
        return state.server_urls()


def running_urls(var: Path | None = None) -> ServerUrls | None:
    """The servers that run now, or None. Starts nothing and changes nothing."""
    folder = (var or default_var_folder()) / "embedded"
    state = _read_state(folder)
    if state is None:
        return None
    postgres, redis = _build_servers(state)
    runs = postgres.port() == state.postgres_port and redis.is_running()
    return state.server_urls() if runs else None


def stop(var: Path | None = None) -> None:
    """End both servers; their data stays."""
    folder = (var or default_var_folder()) / "embedded"
    if not folder.exists():
        return
    with _exclusive_lock(folder):
        if state := _read_state(folder):
            for server in _build_servers(state):
                server.stop()


def stop_and_delete(var: Path | None = None) -> None:
    """End both servers and delete all their data."""
    folder = (var or default_var_folder()) / "embedded"
    stop(var)
    if state := _read_state(folder):
        shutil.rmtree(state.servers, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def load_or_create_secret_key(var: Path | None = None) -> str:
    """The installation's own SECRET_KEY, made at first use."""
    path = ensure_var_folder(var) / "secret_key"
    if not path.exists():
        with NamedTemporaryFile("w", dir=path.parent, prefix="secret_key.") as draft:
            draft.write(secrets.token_urlsafe(50))
            draft.flush()
            # Unlike a rename, a link never replaces the key of someone who was quicker.
            with suppress(FileExistsError):
                path.hardlink_to(draft.name)
    return path.read_text().strip()


def _build_servers(state: _State, is_durable: bool = True) -> tuple[Postgres, Redis]:
    servers = Path(state.servers)
    account = account_for(servers)
    programs = locate_binaries(account)
    return (
        Postgres(servers / "postgres", programs.postgres_folder, account, is_durable),
        Redis(servers / "redis", programs.redis_server, account),
    )


def _reset_passwords(postgres: Postgres, redis: Redis, state: _State) -> None:
    """The state was lost, and with it the passwords of what may still run or be stored."""
    redis.stop()
    postgres.stop()
    if postgres.data.exists():
        postgres.replace_password(state.postgres_password)


def ensure_var_folder(var: Path | None = None) -> Path:
    """The folder, made if absent: closed to others, but root's unprivileged account must pass."""
    var = (var or default_var_folder()).resolve()
    with _explain_permission_error():
        var.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    return var


def _ensure_embedded_folder(var: Path | None) -> Path:
    folder = ensure_var_folder(var) / "embedded"
    with _explain_permission_error():
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
    return folder


@contextmanager
def _exclusive_lock(folder: Path) -> Iterator[None]:
    """One starter or stopper at a time; the system frees the lock of one that was killed."""
    with _explain_permission_error():
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _explain_permission_error() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise EmbeddedError(
            f"{error.filename} belongs to another user. Work as that user, "
            "or name a folder of your own in LATHE_VAR."
        ) from error


def _read_state(folder: Path) -> _State | None:
    """The remembered state; None when there is none, or when it or its data is lost."""
    try:
        with _explain_permission_error():
            state = _State(**json.loads((folder / "state.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    here = folder / "servers"
    if here.exists():  # Even after the whole project was moved.
        return replace(state, servers=str(here))
    return state if Path(state.servers).exists() else None


def main() -> None:
    """`python -m config.local.embedded start|stop|status|url|erase`."""
    parser = argparse.ArgumentParser(prog="python -m config.local.embedded", description=__doc__)
    parser.add_argument("command", choices=["start", "stop", "status", "url", "erase"])
    command = parser.parse_args().command
    try:
        _COMMANDS[command]()
    except EmbeddedError as error:
        sys.exit(str(error))


def _print_status() -> None:
    is_running = running_urls() is not None
    print(f"Running, with data in {default_var_folder()}." if is_running else "Not running.")
    if not is_running:
        sys.exit(3)


def _print_urls() -> None:
    if not (urls := running_urls()):
        sys.exit("Not running. Start with: python -m config.local.embedded start")
    print(f"DATABASE_URL={urls.database_url}\nREDIS_URL={urls.redis_url}")


_COMMANDS: dict[str, Callable[[], object]] = {
    "start": ensure_running,
    "stop": stop,
    "status": _print_status,
    "url": _print_urls,
    "erase": stop_and_delete,
}

if __name__ == "__main__":
    main()
