"""What goes wrong in a storm: processes and servers die, freeze and forget, as the dice say."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import redis

from config.local import embedded, orphan_processes

FROZEN_SECONDS = 20.0  # Longer than a lease: who wakes up again has lost its job meanwhile.
# What its command line must hold, by the name of a victim.
WORDS = {
    "web": "config.asgi",
    "models": "serve_models",
    "worker": "-P threads",  # Of any group of queues.
    "trainer": "compute.cpu",
    "engine": "-m engine",
    "beat": "celery -A config beat",
}


class Storm:
    """Harm done to one running product; every deed is printed with its second."""

    def __init__(self, var: Path, dice: random.Random) -> None:
        self.var = var
        self.dice = dice
        self.done: list[str] = []
        self._started_at = time.monotonic()
        self._frozen: list[tuple[float, psutil.Process]] = []
        self._deeds: dict[Callable[[], str], int] = {
            **{self._killer(name): 2 for name in WORDS},
            self._killer("engine"): 2,
            self._killer("trainer"): 2,
            self._freeze_a_trainer: 2,
            self._ask_a_trainer_to_leave: 1,
            self._kill_postgres: 1,
            self._restart_postgres: 1,
            self._kill_a_session: 1,
            self._kill_redis: 1,
            self._flush_redis: 2,
        }

    def strike(self) -> None:
        """Do one harm, drawn by the dice; thaw who has been frozen long enough."""
        self.thaw(unless_after=time.monotonic())
        deed = self.dice.choices(list(self._deeds), list(self._deeds.values()))[0]
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            self.say(deed())

    def thaw(self, unless_after: float = float("inf")) -> None:
        """Wake frozen processes whose time has come; without an argument, all of them."""
        due = [one for one in self._frozen if one[0] <= unless_after]
        self._frozen = [one for one in self._frozen if one not in due]
        for _, process in due:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def say(self, what: str) -> None:
        self.done.append(what)
        print(f"{time.monotonic() - self._started_at:6.1f} s  {what}", flush=True)

    def processes(self, name: str) -> list[psutil.Process]:
        """The product's living processes of one kind, children of that kind included; of engines
        only those at work, not those that wait for it."""
        found = []
        for process in orphan_processes.find_marked_processes(self.var):
            with suppress(psutil.NoSuchProcess):
                is_one = WORDS[name] in " ".join(process.cmdline())
                if is_one and (name != "engine" or _is_at_work(process)):
                    found.append(process)
        return sorted(found, key=lambda one: one.pid)

    def _killer(self, name: str) -> Callable[[], str]:
        return lambda: self._kill_one(name)

    def _kill_one(self, name: str) -> str:
        victims = self.processes(name)
        if not victims:
            return f"no {name} to kill"
        victim = self.dice.choice(victims)
        victim.kill()
        return f"killed {name} {victim.pid}"

    def _freeze_a_trainer(self) -> str:
        """A trainer that wakes up after its lease is a zombie: nothing it says may count."""
        busy = [trainer for one in self.processes("engine") if (trainer := one.parent())]
        if not busy:
            return "no busy trainer to freeze"
        victim = self.dice.choice(busy)
        victim.suspend()
        self._frozen.append((time.monotonic() + FROZEN_SECONDS, victim))
        return f"froze trainer {victim.pid}"

    def _ask_a_trainer_to_leave(self) -> str:
        mains = [one for one in self.processes("trainer") if _has_no_parent_of_its_kind(one)]
        if not mains:
            return "no trainer to send away"
        victim = self.dice.choice(mains)
        victim.terminate()
        return f"asked trainer {victim.pid} to leave"

    def _postmaster(self) -> int:
        servers = json.loads((self.var / "embedded" / "state.json").read_text())["servers"]
        return int((Path(servers) / "postgres" / "postmaster.pid").read_text().split()[0])

    def _kill_postgres(self) -> str:
        with suppress(FileNotFoundError):
            os.kill(self._postmaster(), signal.SIGKILL)
            return "killed PostgreSQL"
        return "PostgreSQL is down already"

    def _restart_postgres(self) -> str:
        with suppress(FileNotFoundError):
            os.kill(self._postmaster(), signal.SIGINT)
            return "stopped PostgreSQL; its supervisor starts it"
        return "PostgreSQL is down already"

    def _kill_a_session(self) -> str:
        """One session's process: PostgreSQL then ends all the others and recovers."""
        with suppress(FileNotFoundError):
            sessions = [
                one
                for one in psutil.Process(self._postmaster()).children()
                if "127.0.0.1(" in " ".join(one.cmdline())
            ]
            if sessions:
                self.dice.choice(sessions).kill()
                return "killed a PostgreSQL session"
        return "no PostgreSQL session to kill"

    def _kill_redis(self) -> str:
        servers = json.loads((self.var / "embedded" / "state.json").read_text())["servers"]
        with suppress(FileNotFoundError, ValueError):
            os.kill(int((Path(servers) / "redis" / "redis.pid").read_text()), signal.SIGKILL)
            return "killed Redis"
        return "Redis is down already"

    def _flush_redis(self) -> str:
        found = embedded.running_urls(self.var)
        if found is None:
            return "no Redis to flush"
        with suppress(redis.RedisError), redis.Redis.from_url(found.redis_url) as server:
            server.flushall()
            return "flushed Redis"
        return "Redis does not answer"


def _is_at_work(engine: psutil.Process) -> bool:
    """Its standard error goes into a job's log."""
    with suppress(OSError):
        return os.readlink(f"/proc/{engine.pid}/fd/2").endswith("engine.log")
    return False


def _has_no_parent_of_its_kind(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        parent = process.parent()
        return parent is None or WORDS["trainer"] not in " ".join(parent.cmdline())
    return False
