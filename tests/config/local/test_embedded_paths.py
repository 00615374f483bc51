"""Whether an account can reach a folder, and files that only their owner reads."""

import os
import stat
from types import SimpleNamespace

import pytest

from config.local import embedded_paths
from config.local.embedded_paths import Account, account_for, is_reachable, write_private_file

OWNER, GROUP_MEMBER, STRANGER = Account(1000, 1000), Account(2000, 1000), Account(2000, 2000)


@pytest.mark.parametrize(
    ("mode", "account", "passes"),
    [
        (0o700, OWNER, True),
        (0o700, GROUP_MEMBER, False),
        (0o700, STRANGER, False),
        (0o710, GROUP_MEMBER, True),
        (0o711, STRANGER, True),
        (0o755, STRANGER, True),
        (0o744, STRANGER, False),
        (0o077, OWNER, False),  # The owner's own bits count, not those of others.
        (0o701, GROUP_MEMBER, False),
    ],
)
def test_who_may_pass_through_a_folder(mode, account, passes):
    status = SimpleNamespace(st_uid=1000, st_gid=1000, st_mode=stat.S_IFDIR | mode)
    assert embedded_paths._can_traverse(status, account) is passes


def test_every_folder_on_the_way_counts(tmp_path):
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    (closed / "open").chmod(0o755)
    assert is_reachable(closed / "open" / "not made yet", Account(os.geteuid(), os.getegid()))
    assert not is_reachable(closed / "open", Account(54321, 54321))


def test_a_private_file_is_replaced_whole_and_closed_to_others(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    (tmp_path / "secret.new").write_text("left by a killed writer")
    write_private_file(path, "new", Account(os.geteuid(), os.getegid()))
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_an_ordinary_user_runs_the_servers_as_themselves(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "getegid", lambda: 1235)
    assert account_for(tmp_path) == Account(1234, 1235)
    assert "user" not in Account(1234, 1235).process_options()


def test_roots_servers_run_as_another_account_with_a_bare_environment(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PGPORT", "5432")
    options = Account(65534, 65534).process_options()
    assert (options["user"], options["group"], options["extra_groups"]) == (65534, 65534, [])
    assert set(options["env"]) == {"PATH", "LC_ALL"}
    assert options["umask"] == 0o077


def test_a_missing_wheel_says_what_to_do():
    with pytest.raises(embedded_paths.EmbeddedError, match="make up"):
        embedded_paths._wheel_folder("no_such_package_anywhere")
