"""How often a job outlasts, or outprices, what was announced before its launch.

    make up                                   # in another terminal
    python -m benchmarks.estimates --token TOKEN --rounds 2

Tables of scikit-learn and sentences made here go through the API as people's files do: upload,
estimate, launch, wait. Each job's billed seconds and cost stand beside the announced range. A
machine learns from its own jobs how fast it is, so later rounds show what it has learned.
"""

import argparse
import io
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from sklearn import datasets

from benchmarks.product.api import checked, settled, upload

TOPICS = {
    "billing": ("invoice", "refund", "charge", "card"),
    "delivery": ("parcel", "courier", "address", "delay"),
    "account": ("password", "login", "e-mail", "profile"),
}
FORMS = ("my {} is wrong", "where is the {}", "please change the {}", "the {} does not work at all")


@dataclass(frozen=True)
class Work:
    """A file and what to learn from it."""

    name: str
    table: pd.DataFrame
    task: str
    target: str
    hyperparameters: dict[str, Any]


def main() -> None:
    options = _options()
    headers = {"Authorization": f"Bearer {options.token}"}
    outlasted, outpriced, total = 0, 0, 0
    print(f"{'job':34} {'announced s':>13} {'billed s':>9} {'at most $':>10} {'billed $':>10}")
    with httpx.Client(base_url=options.url, headers=headers, timeout=120) as api:
        for number in range(options.rounds):
            for work in _works(number):
                job = _run(api, work)
                low, high = job["estimate"]["seconds_low"], job["estimate"]["seconds_high"]
                most, cost = job["estimate"]["cost_high_micro"], job["cost_micros"]
                seconds = job["device_seconds"]
                outlasted, outpriced = outlasted + (seconds > high), outpriced + (cost > most)
                total += 1
                print(
                    f"{work.name:34} {low:6.0f}–{high:<6.0f} {seconds:9.1f} "
                    f"{most / 1e6:10.4f} {cost / 1e6:10.6f}",
                    flush=True,
                )
    print(f"of {total} jobs {outlasted} outlasted their estimate, {outpriced} cost more than said")


def _works(seed: int) -> Iterator[Work]:
    for rows in (200, 1500):
        texts = _sentences(rows, seed)
        for method in ("auto", "probe"):
            settings = {} if method == "auto" else {"method": method}
            name = f"sentences {rows} {method}"
            yield Work(name, texts, "text-classification", "topic", settings)
    for name, target in (("wine", "target"), ("breast_cancer", "target"), ("digits", "target")):
        table = getattr(datasets, f"load_{name}")(as_frame=True).frame
        table = table.sample(frac=0.9, random_state=seed)
        table[target] = "class " + table[target].astype(str)
        yield Work(name, table, "tabular-classification", target, {})
    table = datasets.load_diabetes(as_frame=True).frame.sample(frac=0.9, random_state=seed)
    yield Work("diabetes", table, "tabular-regression", "target", {})
    features, target = datasets.make_friedman1(n_samples=4000, noise=1.0, random_state=seed)
    table = pd.DataFrame(features).add_prefix("x").assign(y=target)
    yield Work("friedman 4000", table, "tabular-regression", "y", {})


def _sentences(rows: int, seed: int) -> pd.DataFrame:
    chance = random.Random(seed)
    topics = [chance.choice(list(TOPICS)) for _ in range(rows)]
    texts = [
        f"{chance.choice(FORMS).format(chance.choice(TOPICS[topic]))} {chance.randrange(9999)}"
        for topic in topics
    ]
    return pd.DataFrame({"text": texts, "topic": topics})


def _run(api: httpx.Client, work: Work) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{work.name}.csv"
        text = io.StringIO()
        work.table.to_csv(text, index=False)
        path.write_text(text.getvalue())
        dataset = upload(api, path)
    body = {
        "project": dataset["project"],
        "dataset": dataset["id"],
        "task": work.task,
        "target_column": work.target,
        "hyperparameters": work.hyperparameters,
    }
    job = checked(api.post("/api/v1/training-jobs", json=body))
    done: dict[str, Any] = settled(api, f"/api/v1/training-jobs/{job['id']}", "succeeded")
    return done


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--token", required=True)
    parser.add_argument("--rounds", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
