"""How the apps are put together: settings, URLs, Celery, ASGI.

Every process that loads Django must know our Celery app, or its messages would go nowhere.
"""

from config.celery import app as celery_app

__all__ = ["celery_app"]
