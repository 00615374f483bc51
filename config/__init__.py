"""How the apps are put together: settings, URLs, Celery, ASGI.

Every process that loads Django must know our Celery app, or its messages would go nowhere.
"""

import os

# numpy, scipy and scikit-learn multiply small matrices here and in child processes, where threads
# only wait for one another: a linear model on 10,000 embeddings took seven times as long with two.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from config.celery import app as celery_app  # noqa: E402 - before anything loads numpy.

__all__ = ["celery_app"]
