"""Whether one team's flood of uploads keeps another team waiting, and what a very wide table costs.

    RATE_LIMIT_UPLOADS=100000 API_REQUESTS_PER_MINUTE=100000 make up     # in another terminal
    python -m benchmarks.floods --flooding-token TOKEN --waiting-token TOKEN [--uploads 400]

Needs tokens with the scope `write` of two teams (`manage.py create_api_token`). The first team
uploads that many small tables as fast as it can; when all are accepted the second uploads one of 20
rows. Then the second uploads a table of 1,999 columns and 5 rows. Printed: seconds from each upload
to `ready`, how many of the flood waited still, and the machine's load.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

SMALL = "text,label\n" + "".join(f"my card {n} is lost,card\n" for n in range(20))
WIDE_COLUMNS = 1999
UPLOAD_THREADS = 8


class Team:
    """A team's API, and the project that its uploads go to."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._api = httpx.Client(base_url=url, headers=headers, timeout=120)
        made = self._api.post("/api/v1/projects", json={"name": f"Flood {time.time():.0f}"})
        self._project = self._checked(made)["id"]

    def upload(self, name: str, content: str) -> str:
        answer = self._api.post(
            "/api/v1/datasets",
            files={"file": (f"{name}.csv", content.encode())},
            data={"project": self._project, "name": name},
        )
        return str(self._checked(answer)["id"])

    def status(self, dataset: str) -> str:
        return str(self._checked(self._api.get(f"/api/v1/datasets/{dataset}"))["status"])

    def seconds_until_ready(self, name: str, content: str) -> float:
        started = time.monotonic()
        dataset = self.upload(name, content)
        while (status := self.status(dataset)) != "ready":
            if status == "failed" or time.monotonic() - started > 600:
                raise SystemExit(f"{name} is {status} after {time.monotonic() - started:.0f} s")
            time.sleep(0.2)
        return time.monotonic() - started

    def _checked(self, answer: httpx.Response) -> Any:
        if answer.is_error:
            raise SystemExit(f"{answer.request.url}: {answer.status_code} {answer.text[:300]}")
        return answer.json()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--flooding-token", required=True)
    parser.add_argument("--waiting-token", required=True)
    parser.add_argument("--uploads", type=int, default=400)
    options = parser.parse_args()
    flooding = Team(options.url, options.flooding_token)
    waiting = Team(options.url, options.waiting_token)
    _measure_flood(flooding, waiting, options.uploads)
    wide = waiting.seconds_until_ready("wide", _wide_table())
    print(f"{WIDE_COLUMNS} columns, 5 rows: ready after {wide:.1f} s; load {_load()}")


def _measure_flood(flooding: Team, waiting: Team, uploads: int) -> None:
    """Each table is another one: the same bytes would be one dataset version."""
    started = time.monotonic()
    with ThreadPoolExecutor(UPLOAD_THREADS) as threads:
        datasets = list(
            threads.map(
                lambda n: flooding.upload(f"flood {n}", f"{SMALL}number {n},card\n"),
                range(uploads),
            )
        )
    print(f"{uploads} uploads of one team accepted in {time.monotonic() - started:.0f} s")
    seconds = waiting.seconds_until_ready("small", SMALL)
    left = sum(flooding.status(dataset) == "importing" for dataset in datasets)
    print(f"20 rows of another team: ready after {seconds:.1f} s; {left} of the flood still wait;")
    print(f"load {_load()}")


def _wide_table() -> str:
    header = ",".join(f"column {n}" for n in range(WIDE_COLUMNS))
    rows = [",".join(str(n * row) for n in range(WIDE_COLUMNS)) for row in range(5)]
    return "\n".join([header, *rows, ""])


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
