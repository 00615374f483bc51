"""The ASGI application: pages, API, live streams and the pass-through to the models process."""

import os
import warnings
from typing import cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Requests share connections: a thousand at once must not be a thousand connections.
os.environ.setdefault("DB_POOL_SIZE", "20")
# Static files are read in one go; Django would say so amid the terminal of `make up`.
warnings.filterwarnings("ignore", message=".* must consume synchronous iterators")
django_application = get_asgi_application()

# All need Django to be set up.
from starlette.types import ASGIApp  # noqa: E402

from config.front import with_front  # noqa: E402
from web.guard.open_files import raise_open_files_limit  # noqa: E402

raise_open_files_limit()
application = with_front(cast(ASGIApp, django_application))
