"""What a newcomer gets: a file in, default settings, a deployed model, asked about rows kept back.

    make up                                   # in another terminal
    python -m benchmarks.product --token TOKEN --data train.csv --test test.csv --target category
    python -m benchmarks.product --token TOKEN --data credit.csv --task tabular-classification \
        --target credit_risk
    python -m benchmarks.product --token TOKEN --data pictures.zip --task image-classification

Everything goes through the API: upload, import, launch, wait, deploy, and `/v1/classify` for every
row kept back: those of --test, or a fifth of the rows (stratified, seed 0), or an archive's test/
folder. A usual model of scikit-learn, fitted on the very same rows, is printed beside it.
"""

import argparse
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.product.api import checked, settled, upload
from benchmarks.product.rows import TASKS, Rows, baseline_answers, rows_of, scores

ROWS_PER_REQUEST = 64


def main() -> None:
    options = _options()
    headers = {"Authorization": f"Bearer {options.token}"}
    with (
        httpx.Client(base_url=options.url, headers=headers, timeout=120) as api,
        tempfile.TemporaryDirectory() as folder,
    ):
        rows = rows_of(options, Path(folder))
        dataset = upload(api, rows.file)
        job = _train(api, dataset, options)
        began, ended = (datetime.fromisoformat(job[f"{at}_at"]) for at in ("started", "finished"))
        took = (ended - began).total_seconds()
        print(f"job: {took:.0f} s from its start, ${job['cost_micros'] / 1e6:.6f}")
        report = checked(api.get(f"/api/v1/models/{job['model']}/evaluation"))
        print(f"report: {report.get('headline') or report['report']['headline']}")
        answers, seconds = _ask(api, job["model"], rows)
    count = len(rows.truth)
    print(f"{count} rows kept back, {count / seconds:.0f} answered a second")
    _print_scores("through the product", scores(rows, answers))
    name, theirs = baseline_answers(rows)
    _print_scores(name, scores(rows, theirs))


def _train(api: httpx.Client, dataset: dict[str, Any], options: argparse.Namespace) -> Any:
    body: dict[str, Any] = {"project": dataset["project"], "dataset": dataset["id"]}
    body["task"] = options.task
    if options.target and not options.task.startswith("image"):
        body["target_column"] = options.target
    if options.method:
        body["hyperparameters"] = {"method": options.method}
    job = checked(api.post("/api/v1/training-jobs", json=body))
    return settled(api, f"/api/v1/training-jobs/{job['id']}", "succeeded")


def _ask(api: httpx.Client, model: str, rows: Rows) -> tuple[list[dict[str, Any]], float]:
    name = f"benchmark-{model[:8]}"
    checked(api.post("/api/v1/deployments", json={"model": model, "name": name}))
    questions, answers, started_at = rows.questions(), [], time.monotonic()
    for start in range(0, len(questions), ROWS_PER_REQUEST):
        body = {"model": name, "input": questions[start : start + ROWS_PER_REQUEST]}
        answers += checked(api.post("/v1/classify", json=body))["data"]
    return answers, time.monotonic() - started_at


def _print_scores(name: str, found: dict[str, float]) -> None:
    print(f"{name}: " + ", ".join(f"{metric} {value:.4f}" for metric, value in found.items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--token", required=True)
    parser.add_argument("--data", type=Path, required=True, help="CSV, or a zip of pictures")
    parser.add_argument("--test", type=Path, help="CSV of the rows kept back")
    parser.add_argument("--task", choices=TASKS, default="text-classification")
    parser.add_argument("--target", help="column to learn; of pictures, their folder")
    parser.add_argument("--text", default="text", help="column of the text")
    parser.add_argument("--method", help="probe: the quick one; else what the task chooses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
