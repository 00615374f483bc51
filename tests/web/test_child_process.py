"""Children know no secret, keep to their limits and never outlive their parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from web import child_process

SHOW_ENVIRONMENT = "import os, json; print(json.dumps(dict(os.environ)))"


def python(code: str, **options) -> child_process.Finished:
    return child_process.run([sys.executable, "-c", textwrap.dedent(code)], **options)


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "CELERY_BROKER_URL",
        "STORAGE_URL",
        "STRIPE_API_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "EMAIL_HOST_PASSWORD",
        "SENTRY_DSN",
        "SECRET_KEY_FALLBACKS",
        "OPENAI_API_KEY",
    ],
)
def test_a_child_does_not_see(name, monkeypatch):
    monkeypatch.setenv(name, "very-private")
    assert "very-private" not in python(SHOW_ENVIRONMENT, seconds=20).stdout


def test_a_child_sees_the_rest_and_what_is_added(monkeypatch):
    monkeypatch.setenv("LATHE_CACHE_DIR", "/somewhere")
    monkeypatch.setenv("HF_TOKEN", "for gated models")
    seen = python(SHOW_ENVIRONMENT, seconds=20, extra_environment={"ADDED": "here"}).stdout
    assert all(word in seen for word in ("/somewhere", "for gated models", "ADDED", "PATH"))


def test_what_it_prints_and_how_it_ends_come_back():
    finished = python(
        "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", seconds=20
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (3, "out\n", "err\n")


def test_only_the_end_of_long_output_comes_back():
    finished = python("print('x' * 50_000); print('the end')", seconds=20, output_bytes=100)
    assert len(finished.stdout) == 100
    assert finished.stdout.endswith("the end\n")


def test_a_child_that_takes_too_long_is_killed_with_all_it_started(tmp_path):
    pid_file = tmp_path / "pid"
    code = f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        open({str(pid_file)!r}, "w").write(str(child.pid))
        time.sleep(60)
    """
    started = time.monotonic()
    assert python(code, seconds=2).returncode is None
    assert time.monotonic() - started < 15
    assert _is_gone(int(pid_file.read_text()))


def test_memory_beyond_the_limit_is_an_error_of_the_child_alone():
    finished = python("x = bytearray(2 * 1024**3)", seconds=20, memory_bytes=1024**3)
    assert finished.returncode == 1
    assert "MemoryError" in finished.stderr


def test_every_is_called_while_it_runs_and_what_it_raises_ends_the_child():
    calls: list[int] = []

    def renew() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("the claim is lost")

    with pytest.raises(RuntimeError, match="claim is lost"):
        python("import time; time.sleep(60)", seconds=30, every=renew, every_seconds=0.1)
    assert len(calls) == 2


def test_a_child_dies_with_a_parent_that_is_killed():
    parent_code = textwrap.dedent(
        """
        import sys, time
        from web import child_process
        child = child_process.spawn([sys.executable, "-c", "import time; time.sleep(60)"])
        print(child.pid, flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child_pid = int(parent.stdout.readline())
    assert not _is_gone(child_pid, seconds=0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert _is_gone(child_pid)


def _is_gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


DIES_ONCE = """
import os, pathlib, signal
mark = pathlib.Path("mark")
if not mark.exists():
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
print("done")
"""


@pytest.mark.parametrize(("restarts", "returncode", "printed"), [(0, -9, ""), (1, 0, "done\n")])
def test_a_child_that_something_killed_starts_again(
    tmp_path, monkeypatch, restarts, returncode, printed
):
    monkeypatch.setattr(child_process, "RESTART_SECONDS", 0)
    command = [sys.executable, "-c", DIES_ONCE]
    finished = child_process.run(command, seconds=60, cwd=tmp_path, restarts=restarts)
    assert (finished.returncode, finished.stdout) == (returncode, printed)


def test_what_is_killed_again_and_again_and_what_crashes_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(child_process, "RESTART_SECONDS", 0)
    for signal_name in ("SIGKILL", "SIGABRT"):
        count = f"import os, signal; open('{signal_name}', 'a').write('x'); os.kill(os.getpid(),"
        command = [sys.executable, "-c", f"{count} signal.{signal_name})"]
        child_process.run(command, seconds=60, cwd=tmp_path, restarts=1)
    assert (tmp_path / "SIGKILL").read_text() == "xx"
    assert (tmp_path / "SIGABRT").read_text() == "x"
