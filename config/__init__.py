"""How the parts plug together.

Every process that loads Django must know our Celery app, or its nudges would go nowhere.
"""

from config.celery import app as celery_app

__all__ = ["celery_app"]
