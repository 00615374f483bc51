"""The settings of the tests: PostgreSQL and Redis of their own, never the live ones."""

import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from config.local import embedded

PROJECT = Path(__file__).resolve().parent.parent


def start() -> None:
    """Point the settings at test servers and a throwaway folder, unless CI brings its own."""
    scratch = Path(tempfile.mkdtemp(prefix="lathe-test-"))
    os.environ.setdefault("SECRET_KEY", "only-for-tests")
    if "DATABASE_URL" not in os.environ or "REDIS_URL" not in os.environ:
        servers = os.environ.get("LATHE_TEST_VAR", str(PROJECT / "var" / "test"))
        found = embedded.ensure_running(Path(servers), is_durable=False)
        os.environ["DATABASE_URL"] = found.database_url
        os.environ["REDIS_URL"] = found.redis_url
    os.environ["REDIS_URL"] = _own_redis(os.environ["REDIS_URL"])
    (scratch / "static").mkdir()
    os.environ["LATHE_VAR"] = str(scratch)
    os.environ["STORAGE_URL"] = f"file://{scratch}/storage"
    # A training that yields gets a hundredth of a processor beside trainings of other tests.
    os.environ["TRAININGS_YIELD"] = "false"
    # Playwright keeps an event loop running in the test's thread; Django would refuse the ORM.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def _own_redis(url: str) -> str:
    """A database of this process: one that empties its cache takes nothing from its neighbours."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return urlunsplit(urlsplit(url)._replace(path=f"/{number % 16}"))  # Redis offers 16.


start()

from config.settings import *  # noqa: E402,F403

# Else every client of a test lists all static files anew: a fortieth of a second of a processor.
WHITENOISE_AUTOREFRESH = True
