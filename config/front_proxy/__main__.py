"""Run the front proxy until SIGTERM; the settings are those of the other processes."""

import argparse
import os

import uvloop

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.front_proxy.models import ModelsPools  # noqa: E402
from config.front_proxy.proxy import FrontProxy  # noqa: E402
from inference.gateway.upstream.balancer import models_urls  # noqa: E402
from web.guard.open_files import raise_open_files_limit  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--web-host", default="127.0.0.1", help="where the web process listens")
    parser.add_argument("--web-port", type=int, required=True)
    options = parser.parse_args()
    raise_open_files_limit()
    uvloop.run(_serve(options))  # Less processor time for each request than the standard loop.


async def _serve(options: argparse.Namespace) -> None:
    models = ModelsPools(*models_urls())
    front = FrontProxy(models, options.web_port, options.web_host)
    await front.serve(options.host, options.port)


if __name__ == "__main__":
    main()
