"""How long the product takes from a CSV to answers, and how often they are right.

    make up                                   # in another terminal
    python -m benchmarks.product --token TOKEN --train train.csv --test test.csv --label category

Everything goes through the API at default settings: upload, import, launch, wait, deploy, and one
question per row of the test file. Printed: seconds of the job, its cost, the report's own headline
and the accuracy on the test file.
"""

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).resolve().parent.parent
ROWS_PER_REQUEST = 128
PATIENCE_SECONDS = 3600


def main() -> None:
    options = _options()
    headers = {"Authorization": f"Bearer {options.token}"}
    with httpx.Client(base_url=options.url, headers=headers, timeout=120) as api:
        dataset = upload(api, options.train)
        started_at = time.monotonic()
        job = _train(api, dataset)
        print(f"job: {time.monotonic() - started_at:.0f} s, ${job['cost_micros'] / 1e6:.6f}")
        report = checked(api.get(f"/api/v1/models/{job['model']}/evaluation"))
        print(f"report: {report.get('headline') or report['report']['headline']}")
        right, asked, seconds = _ask(api, job["model"], options)
    print(
        f"test file: {right} of {asked} right ({right / asked:.4f}), {asked / seconds:.0f} rows/s"
    )


def upload(api: httpx.Client, path: Path) -> dict[str, Any]:
    project = checked(api.post("/api/v1/projects", json={"name": f"Benchmark {path.stem}"}))
    with path.open("rb") as file:
        answer = api.post(
            "/api/v1/datasets",
            files={"file": (path.name, file)},
            data={"project": project["id"], "name": path.stem},
        )
    return settled(api, f"/api/v1/datasets/{checked(answer)['id']}", "ready")


def _train(api: httpx.Client, dataset: dict[str, Any]) -> dict[str, Any]:
    body = {"project": dataset["project"], "dataset": dataset["id"], "task": "text-classification"}
    job = checked(api.post("/api/v1/training-jobs", json=body))
    return settled(api, f"/api/v1/training-jobs/{job['id']}", "succeeded")


def _ask(api: httpx.Client, model: str, options: argparse.Namespace) -> tuple[int, int, float]:
    name = f"benchmark-{model[:8]}"
    checked(api.post("/api/v1/deployments", json={"model": model, "name": name}))
    with options.test.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right, started_at = 0, time.monotonic()
    for start in range(0, len(rows), ROWS_PER_REQUEST):
        some = rows[start : start + ROWS_PER_REQUEST]
        body = {"model": name, "input": [row[options.text] for row in some]}
        answers = checked(api.post("/v1/classify", json=body))["data"]
        right += sum(
            answer["label"] == row[options.label] for answer, row in zip(answers, some, strict=True)
        )
    return right, len(rows), time.monotonic() - started_at


def settled(api: httpx.Client, path: str, wanted: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        body = checked(api.get(path))
        if body["status"] == wanted:
            return body
        if body["status"] in {"failed", "cancelled"}:
            raise SystemExit(f"{path} ended {body['status']}: {body.get('failure')}")
        time.sleep(0.5)
    raise SystemExit(f"{path} took longer than {PATIENCE_SECONDS} s")


def checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.url}: {answer.text}")
    body: dict[str, Any] = answer.json()
    return body


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--token", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--text", default="text", help="column of the text in the test file")
    parser.add_argument("--label", default="label", help="column of the label in the test file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
