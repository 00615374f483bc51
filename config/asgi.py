"""The ASGI application: pages, API, live streams and the pass-through to the models process."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Requests share connections: a thousand at once must not be a thousand connections.
os.environ.setdefault("DB_POOL_SIZE", "20")
django.setup(set_prefix=False)

# Both need Django to be set up.
from config.front import with_front  # noqa: E402
from web.front.threaded_handler import ThreadedHandler  # noqa: E402
from web.guard.open_files import raise_open_files_limit  # noqa: E402

# More than connections: who waits for Stripe or for a file of the storage holds none.
REQUEST_THREADS = 64
PROBE_THREADS = 2  # Of their own: a probe is answered while all others wait for the database.

raise_open_files_limit()
application = with_front(ThreadedHandler(REQUEST_THREADS), probes=ThreadedHandler(PROBE_THREADS))
