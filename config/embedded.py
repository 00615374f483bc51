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

from config.embedded_place import (
    Account,
    EmbeddedError,
    account_for,
    binaries,
    servers_folder,
    write_privately,
)
from config.embedded_postgres import NAME, Postgres
from config.embedded_redis import Redis

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Endpoints:
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

    def endpoints(self) -> Endpoints:
        postgres = f"{NAME}:{self.postgres_password}@127.0.0.1:{self.postgres_port}/{NAME}"
        redis = f":{self.redis_password}@127.0.0.1:{self.redis_port}/0"
        return Endpoints(database_url=f"postgresql://{postgres}", redis_url=f"redis://{redis}")


def default_var() -> Path:
    """The folder named by LATHE_VAR, else `var` in the project."""
    return Path(os.environ.get("LATHE_VAR") or PROJECT / "var").resolve()


def ensure_running(var: Path | None = None, *, is_durable: bool = True) -> Endpoints:
    """Start what is not running; return once both servers answer. Any number may call at once.

    With `is_durable=False` a server started now trades safety in a power cut for speed: for tests.
    """
    folder = _made_folder(var)
    with _locked(folder):
        known = _read_state(folder)
        state = known or _State(servers=str(servers_folder(folder)))
        postgres, redis = _servers(state, is_durable)
        if known is None:
            _forget_passwords(postgres, redis, state)
        if postgres.port() != state.postgres_port or state.postgres_port is None:
            postgres.stop()
            port = postgres.start(state.postgres_port, state.postgres_password)
            state = replace(state, postgres_port=port)
        if not redis.is_running():
            port = redis.start(state.redis_port, state.redis_password)
            state = replace(state, redis_port=port)
        if state != known:
            _write_state(folder, state)
        return state.endpoints()


def endpoints(var: Path | None = None) -> Endpoints | None:
    """The servers that run now, or None. Starts nothing and changes nothing."""
    folder = (var or default_var()) / "embedded"
    state = _read_state(folder)
    if state is None:
        return None
    postgres, redis = _servers(state)
    runs = postgres.port() == state.postgres_port and redis.is_running()
    return state.endpoints() if runs else None


def stop(var: Path | None = None) -> None:
    """End both servers; their data stays."""
    folder = (var or default_var()) / "embedded"
    if not folder.exists():
        return
    with _locked(folder):
        if state := _read_state(folder):
            for server in _servers(state):
                server.stop()


def erase(var: Path | None = None) -> None:
    """End both servers and delete all their data."""
    folder = (var or default_var()) / "embedded"
    stop(var)
    if state := _read_state(folder):
        shutil.rmtree(state.servers, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def secret_key(var: Path | None = None) -> str:
    """The installation's own SECRET_KEY, made at first use."""
    path = made_var(var) / "secret_key"
    if not path.exists():
        with NamedTemporaryFile("w", dir=path.parent, prefix="secret_key.") as draft:
            draft.write(secrets.token_urlsafe(50))
            draft.flush()
            # Unlike a rename, a link never replaces the key of someone who was quicker.
            with suppress(FileExistsError):
                path.hardlink_to(draft.name)
    return path.read_text().strip()


def _servers(state: _State, is_durable: bool = True) -> tuple[Postgres, Redis]:
    servers = Path(state.servers)
    account = account_for(servers)
    programs = binaries(account)
    return (
        Postgres(servers / "postgres", programs.postgres_folder, account, is_durable),
        Redis(servers / "redis", programs.redis_server, account),
    )


def _forget_passwords(postgres: Postgres, redis: Redis, state: _State) -> None:
    """The state was lost, and with it the passwords of what may still run or be stored."""
    redis.stop()
    postgres.stop()
    if postgres.data.exists():
        postgres.replace_password(state.postgres_password)


def made_var(var: Path | None = None) -> Path:
    """The folder, made if absent: closed to others, but root's unprivileged account must pass."""
    var = (var or default_var()).resolve()
    with _explained():
        var.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    return var


def _made_folder(var: Path | None) -> Path:
    folder = made_var(var) / "embedded"
    with _explained():
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One starter or stopper at a time; the system frees the lock of one that was killed."""
    with _explained():
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _explained() -> Iterator[None]:
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
        with _explained():
            state = _State(**json.loads((folder / "state.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    here = folder / "servers"
    if here.exists():  # Even after the whole project was moved.
        return replace(state, servers=str(here))
    return state if Path(state.servers).exists() else None


def _write_state(folder: Path, state: _State) -> None:
    facts = folder.stat()  # Also when root starts the servers of an ordinary user.
    owner = Account(facts.st_uid, facts.st_gid)
    write_privately(folder / "state.json", json.dumps(asdict(state), indent=1), owner)


def main() -> None:
    """`python -m config.embedded start|stop|status|url|erase`."""
    parser = argparse.ArgumentParser(prog="python -m config.embedded", description=__doc__)
    parser.add_argument("deed", choices=["start", "stop", "status", "url", "erase"])
    deed = parser.parse_args().deed
    try:
        _DEEDS[deed]()
    except EmbeddedError as error:
        sys.exit(str(error))


def _say_status() -> None:
    found = endpoints()
    print(f"Running, with data in {default_var()}." if found else "Not running.")
    if not found:
        sys.exit(3)


def _say_url() -> None:
    if not (found := endpoints()):
        sys.exit("Not running. Start with: python -m config.embedded start")
    print(f"DATABASE_URL={found.database_url}\nREDIS_URL={found.redis_url}")


_DEEDS: dict[str, Callable[[], object]] = {
    "start": ensure_running,
    "stop": stop,
    "status": _say_status,
    "url": _say_url,
    "erase": erase,
}

if __name__ == "__main__":
    main()
