"""The ASGI application: pages, API, live streams and the pass-through to the models process."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_asgi_application()

from inference.passthrough import with_inference  # noqa: E402  Needs Django to be set up.

application = with_inference(django_application)
