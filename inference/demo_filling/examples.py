"""Small invented datasets, one for each task but the tickets' (inference.demo_data).

The same every time. Each follows a rule with some noise, so that its model learns something and its
report shows mistakes.
"""

import base64
import csv
import io
import json
import math
import random
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

Value = str | int | float


@dataclass(frozen=True)
class Example:
    """One dataset, what to learn from it, and questions to ask its model afterwards."""

    project: str
    filename: str
    task: str
    content: bytes
    columns: dict[str, str | list[str]]
    deployment: str
    questions: list[str | dict[str, Value]] = field(default_factory=list)
    hyperparameters: dict[str, object] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)


def all_examples() -> list[Example]:
    """In the order in which they are trained: the quickest first."""
    return [churn(), delivery_times(), review_scores(), shapes(), replies()]


def churn(rows: int = 800) -> Example:
    """Which customers leave: a table with a yes or no."""
    rng = random.Random(1)
    table = [_customer(rng) for _ in range(rows)]
    return Example(
        project="Customer churn",
        filename="customers.csv",
        task="tabular-classification",
        content=_csv(table),
        columns={"target_column": "churned"},
        deployment="churn",
        questions=[_without(row, "churned") for row in table[:40]],
    )


def _customer(rng: random.Random) -> dict[str, Value]:
    tenure, calls = rng.randint(1, 72), min(9, int(rng.expovariate(0.6)))
    plan = rng.choices(["basic", "plus", "business"], [5, 3, 2])[0]
    late, charge = rng.randint(0, 4), round(rng.gauss(30, 8) + 20 * (plan == "business"), 2)
    logit = -1.2 - 0.05 * tenure + 0.7 * calls + 0.4 * late + 0.8 * (plan == "basic")
    return {
        "tenure_months": tenure,
        "plan": plan,
        "monthly_charge": charge,
        "support_calls": calls,
        "late_payments": late,
        "churned": "yes" if rng.random() < 1 / (1 + math.exp(-logit)) else "no",
    }


def delivery_times(rows: int = 800) -> Example:
    """How many hours a parcel takes: a table with a number."""
    rng = random.Random(2)
    table = [_parcel(rng) for _ in range(rows)]
    return Example(
        project="Delivery times",
        filename="parcels.csv",
        task="tabular-regression",
        content=_csv(table),
        columns={"target_column": "hours"},
        deployment="delivery-hours",
        questions=[_without(row, "hours") for row in table[:40]],
    )


def _parcel(rng: random.Random) -> dict[str, Value]:
    distance, weight = round(rng.uniform(5, 900), 1), round(rng.expovariate(0.3) + 0.1, 2)
    carrier, weekday = rng.choice(["bike", "van", "rail"]), rng.choice(["mon", "wed", "fri", "sat"])
    speed = {"bike": 15, "van": 55, "rail": 80}[carrier]
    hours = 6 + distance / speed + 0.4 * weight + (20 if weekday == "sat" else 0)
    return {
        "distance_km": distance,
        "weight_kg": weight,
        "carrier": carrier,
        "weekday": weekday,
        "hours": round(max(1.0, rng.gauss(hours, 2)), 1),
    }


_GOOD = ["lovely", "fast", "sturdy", "a bargain", "well made", "exactly as shown", "a joy to use"]
_BAD = ["broken", "late", "flimsy", "overpriced", "noisy", "nothing like the picture", "a pain"]
_THINGS = ["kettle", "lamp", "backpack", "keyboard", "blender", "tent", "chair", "headset"]


def review_scores(rows: int = 600) -> Example:
    """How many of ten points a review gives: texts with a number."""
    rng = random.Random(3)
    table = [_review(rng) for _ in range(rows)]
    return Example(
        project="Product reviews",
        filename="reviews.csv",
        task="text-regression",
        content=_csv(table),
        columns={"text_columns": ["review"], "target_column": "points"},
        deployment="review-points",
        questions=[str(row["review"]) for row in table[:40]],
        hyperparameters={"method": "probe"},
    )


def _review(rng: random.Random) -> dict[str, Value]:
    good = rng.randint(0, 4)
    words = rng.sample(_GOOD, good) + rng.sample(_BAD, 4 - good)
    rng.shuffle(words)
    first, *rest = words
    text = f"The {rng.choice(_THINGS)} is {first}, {', '.join(rest[:-1])} and {rest[-1]}."
    return {"review": text, "points": round(min(10, max(0, rng.gauss(2.5 * good, 0.7))), 1)}


_SHAPES = ("circle", "square", "triangle")


def shapes(each: int = 40) -> Example:
    """Which shape a picture shows: a zip with a folder for each label."""
    rng, archive = random.Random(4), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for label in _SHAPES:
            for number in range(each):
                entry = zipfile.ZipInfo(f"{label}/{number:03}.png", (2026, 1, 1, 0, 0, 0))
                file.writestr(entry, _picture(rng, label))
    return Example(
        project="Shapes",
        filename="shapes.zip",
        task="image-classification",
        content=archive.getvalue(),
        columns={},
        deployment="shapes",
        questions=[
            base64.b64encode(_picture(rng, rng.choice(_SHAPES))).decode() for _ in range(24)
        ],
        hyperparameters={"epochs": 2},
    )


def _picture(rng: random.Random, label: str) -> bytes:
    size, paper = 96, tuple(rng.randint(180, 255) for _ in range(3))
    image = Image.new("RGB", (size, size), paper)
    draw, ink = ImageDraw.Draw(image), tuple(rng.randint(0, 140) for _ in range(3))
    radius = rng.randint(16, 34)
    x, y = (rng.randint(radius, size - radius) for _ in range(2))
    if label == "circle":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    else:
        sides = 4 if label == "square" else 3
        draw.regular_polygon((x, y, radius), sides, rotation=rng.randint(0, 359), fill=ink)
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()


# Each answer of an invented shop, and many ways to ask for it.
_HOUSE: dict[str, Any] = json.loads(
    Path(__file__).with_name("house_answers.json").read_text(encoding="utf-8")
)


def replies() -> Example:
    """How a shop answers its customers: chats for a language model.

    Every way to ask occurs once, so that the test asks in words that were not trained on. The base
    model knows how to talk; what it learns is what this shop says.
    """
    rng = random.Random(5)
    chats = [
        (_ask_politely(rng, question), topic["answer"])
        for topic in _HOUSE["topics"]
        for question in topic["questions"]
    ]
    rng.shuffle(chats)
    lines = [
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                ]
            }
        )
        for question, answer in chats
    ]
    return Example(
        project="Support replies",
        filename="replies.jsonl",
        task="text-generation",
        content="\n".join(lines).encode(),
        columns={},
        deployment="replies",
        questions=[question for question, _ in chats[:8]],
        # Short rows are learnt quickly: a high rate and small steps take two cores little time.
        hyperparameters={
            "epochs": 3,
            "rows_per_step": 8,
            "learning_rate": 0.002,
            "generated_tokens": 24,
        },
        split={"test_fraction": 0.25, "validation_fraction": 0.05},  # Enough rows to judge by.
    )


def _ask_politely(rng: random.Random, question: str) -> str:
    opening, closing = rng.choice(_HOUSE["openings"]), rng.choice(_HOUSE["closings"])
    text = f"{opening}{question}{closing.format(order=rng.randint(1000, 9999))}"
    return text[0].upper() + text[1:]


def _csv(rows: list[dict[str, Value]]) -> bytes:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


def _without(row: dict[str, Value], column: str) -> dict[str, Value]:
    return {name: value for name, value in row.items() if name != column}


def batches(questions: list[str | dict[str, Value]], of: int) -> Iterable[list[object]]:
    """The questions in requests of a few rows each."""
    for at in range(0, len(questions), of):
        yield list(questions[at : at + of])
