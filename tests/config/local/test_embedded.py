"""The embedded PostgreSQL and Redis: real servers, really killed."""

import json
import multiprocessing
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.local import embedded
from config.local.embedded_paths import Account, EmbeddedError, is_reachable
from config.local.process_wait import wait_for_exit

same_worker = pytest.mark.xdist_group("embedded")  # Where their servers were installed.
PROJECT = Path(embedded.__file__).resolve().parents[2]
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two users")


@pytest.fixture(scope="module")
def shared_var(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("shared") / "var"
    yield folder
    embedded.stop_and_delete(folder)


@pytest.fixture
def var(shared_var: Path) -> Path:
    """An installation, stopped, with a past: making a fresh one for every test takes long."""
    embedded.stop(shared_var)
    return shared_var


@pytest.fixture
def reachable_var() -> Iterator[Path]:
    """Where any user can get, unlike pytest's own folders."""
    folder = Path(f"/var/tmp/lathe-test-{os.getpid()}")
    folder.mkdir(mode=0o755)
    yield folder
    embedded.stop_and_delete(folder / "var")
    shutil.rmtree(folder)


def start(var: Path) -> embedded.ServerUrls:
    return embedded.ensure_running(var, is_durable=False)


def ask(endpoints: embedded.ServerUrls, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(endpoints.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def keep_something(endpoints: embedded.ServerUrls) -> None:
    ask(endpoints, "DROP TABLE IF EXISTS kept")
    ask(endpoints, "CREATE TABLE kept AS SELECT 42 AS answer")


def postgres_process(var: Path) -> psutil.Process:
    servers = json.loads((var / "embedded" / "state.json").read_text())["servers"]
    pid = (Path(servers) / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    return psutil.Process(int(pid))


def kill(process: psutil.Process) -> None:
    process.kill()
    assert wait_for_exit([process], 10)


@same_worker
def test_both_servers_answer_and_are_found_again(var: Path) -> None:
    assert embedded.running_urls(var) is None
    started = start(var)
    assert ask(started, "SHOW server_version")[0][0].startswith("18")
    assert redis.Redis.from_url(started.redis_url).ping()
    assert embedded.running_urls(var) == started == start(var)


@same_worker
def test_stopping_keeps_the_data_and_the_address(var: Path) -> None:
    started = start(var)
    keep_something(started)
    embedded.stop(var)
    assert embedded.running_urls(var) is None
    assert start(var) == started
    assert ask(started, "SELECT answer FROM kept") == [(42,)]


@same_worker
def test_a_killed_server_comes_back_with_its_data(var: Path) -> None:
    started = embedded.ensure_running(var)
    keep_something(started)
    kill(postgres_process(var))
    again = embedded.ensure_running(var)
    assert ask(again, "SELECT answer FROM kept") == [(42,)]


@same_worker
def test_a_pid_file_naming_a_stranger_does_not_prevent_a_start(var: Path) -> None:
    start(var)
    pid_file = Path(postgres_process(var).cwd()) / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    embedded.stop(var)
    # As after a reboot: the number lives again, as somebody else's. Here: as ours.
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert embedded.running_urls(var) is None
    assert ask(start(var), "SELECT 1") == [(1,)]


@same_worker
def test_a_lost_state_file_costs_the_password_and_no_data(var: Path) -> None:
    started = start(var)
    keep_something(started)
    (var / "embedded" / "state.json").write_text("{half a sta")
    again = start(var)
    assert again.database_url != started.database_url
    if os.geteuid() != 0:  # Root's data may lie elsewhere, found by the folder's name all the same.
        assert (var / "embedded" / "servers").exists()
    assert ask(again, "SELECT answer FROM kept") == [(42,)]


@same_worker
def test_half_made_data_is_made_again(var: Path) -> None:
    start(var)
    data = Path(postgres_process(var).cwd())
    embedded.stop(var)
    data.rename(data.with_suffix(".new"))  # As if killed before the last step of making it.
    assert ask(start(var), "SELECT 1") == [(1,)]


@same_worker
def test_many_starters_at_once_start_one_pair_of_servers(var: Path) -> None:
    code = (
        "from config.local import embedded;"
        "print(embedded.ensure_running(is_durable=False).database_url)"
    )
    environment = os.environ | {"LATHE_VAR": str(var), "PYTHONPATH": str(PROJECT)}

    def start_elsewhere(_: int) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.check_output(command, env=environment, text=True, timeout=60)

    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(start_elsewhere, range(4)))
    assert len(urls) == 1


@same_worker
def test_a_taken_port_is_replaced(var: Path) -> None:
    start(var)
    port = json.loads((var / "embedded" / "state.json").read_text())["postgres_port"]
    embedded.stop(var)
    with socket.create_server(("127.0.0.1", port)):
        again = start(var)
        assert f":{port}/" not in again.database_url
        assert ask(again, "SELECT 1") == [(1,)]


@same_worker
def test_without_the_password_nobody_gets_in(var: Path) -> None:
    started = start(var)
    password = started.database_url.split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(started.database_url.replace(password, "guess"))
    port = started.redis_url.rsplit(":", 1)[1].split("/")[0]
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=int(port), retry=Retry(NoBackoff(), 0)).ping()
    commands = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    assert not any(password in word for command in commands for word in command)


@same_worker
def test_everything_of_value_is_closed_to_other_users(var: Path) -> None:
    start(var)
    state = var / "embedded" / "state.json"
    servers = Path(json.loads(state.read_text())["servers"])
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(servers.stat().st_mode) == 0o700
    embedded.load_or_create_secret_key(var)
    assert stat.S_IMODE((var / "secret_key").stat().st_mode) == 0o600


def test_a_very_long_path_is_no_obstacle(tmp_path: Path) -> None:
    var = tmp_path / ("long " * 20).strip() / ("longer " * 20).strip()
    try:
        assert ask(start(var), "SELECT 1") == [(1,)]
    finally:
        embedded.stop_and_delete(var)


@same_worker
def test_the_secret_key_is_the_same_for_all_who_ask_at_once(var: Path) -> None:
    gate = threading.Barrier(8)

    def ask_for_key(_: int) -> str:
        gate.wait()
        return embedded.load_or_create_secret_key(var)

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(ask_for_key, range(8)))
    assert len(keys) == 1
    assert len(keys.pop()) >= 50


@only_root
def test_roots_servers_run_as_nobody_and_no_folder_is_opened_for_them(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    modes = {folder: folder.stat().st_mode for folder in (private, *private.parents)}
    try:
        assert ask(start(private / "var"), "SELECT 1") == [(1,)]
        assert postgres_process(private / "var").username() == "nobody"
        assert modes == {folder: folder.stat().st_mode for folder in modes}
    finally:
        embedded.stop_and_delete(private / "var")


@only_root
def test_roots_data_stays_in_var_where_the_account_can_get_there(reachable_var: Path) -> None:
    start(reachable_var / "var")
    assert (reachable_var / "var" / "embedded" / "servers" / "postgres").exists()


def as_user(name: str, deed: Callable[[], object]) -> None:
    """Do it in a forked process that became this user: the interpreter may lie out of its reach."""

    def become_and_do() -> None:
        entry = pwd.getpwnam(name)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        deed()

    process = multiprocessing.get_context("fork").Process(target=become_and_do)
    process.start()
    process.join(60)
    assert process.exitcode == 0


@only_root
def test_an_ordinary_user_needs_nothing_of_root(reachable_var: Path) -> None:
    var = reachable_var / "var"
    entry = pwd.getpwnam("daemon")
    if not is_reachable(PROJECT / ".venv" / "bin", Account(entry.pw_uid, entry.pw_gid)):
        pytest.skip("this checkout is out of an ordinary user's reach")
    os.chown(reachable_var, entry.pw_uid, entry.pw_gid)
    as_user("daemon", lambda: start(var))
    assert postgres_process(var).username() == "daemon"
    started = embedded.running_urls(var)
    kill(postgres_process(var))
    # Root may start a user's servers: as that user, who then goes on with them.
    assert start(var) == started
    assert postgres_process(var).username() == "daemon"
    as_user("daemon", lambda: start(var))
    as_user("daemon", lambda: embedded.stop(var))
    assert embedded.running_urls(var) is None


@only_root
def test_another_users_installation_is_refused_with_a_sentence(reachable_var: Path) -> None:
    var = reachable_var / "var"
    start(var)

    def try_it() -> None:
        with pytest.raises(EmbeddedError, match="belongs to another user"):
            start(var)

    as_user("daemon", try_it)
