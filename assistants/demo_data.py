"""Generates an FAQ: topics of a shop, each asked in several ways. Needs the standard library."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOPICS: dict[str, Any] = json.loads(
    Path(__file__).with_name("demo_topics.json").read_text(encoding="utf-8")
)
COLUMNS = ("question", "topic", "answer")


@dataclass(frozen=True)
class FaqRow:
    """One way to ask, the key of the topic and the approved answer."""

    question: str
    topic: str
    answer: str


def generate_faq(phrasings: int = 8, seed: int = 0) -> list[FaqRow]:
    """At most `phrasings` different questions of each topic; the same seed, the same rows."""
    rng = random.Random(seed)
    rows = []
    for topic in TOPICS["topics"]:
        pairs = [(verb, noun) for verb in topic["verbs"] for noun in topic["objects"]]
        rng.shuffle(pairs)
        for verb, noun in pairs[:phrasings]:
            question = rng.choice(TOPICS["frames"]).replace("{q}", f"{verb} {noun}")
            rows.append(FaqRow(question, topic["key"], topic["answer"]))
    return rows
