"""Generates a support-ticket data set that is hard enough to be worth training on.

Tickets mention other queues' words, hold typing errors, and about four in a hundred are filed
under the wrong queue, as in real help desks. Needs only the standard library.
"""

import csv
import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

# Situations by queue, each told in several ways that share few words, and what surrounds them:
# asides and detours use other queues' words on purpose.
PHRASES: dict[str, Any] = json.loads(
    Path(__file__).with_name("demo_ticket_phrases.json").read_text(encoding="utf-8")
)
COLUMNS = ("ticket_id", "created_at", "channel", "subject", "message", "queue")
CHANNELS = ("email", "email", "email", "web form", "web form", "chat")
LABEL_NOISE_SHARE = 0.04
DISTRACTOR_SHARE = 0.38  # Of tickets that also name another queue's situation.
TYPO_SHARE = 0.03  # Of words.
FIRST_TICKET_AT = datetime(2026, 1, 5, 7, 30)


def write_demo_csv(path: Path, rows: int = 2000, seed: int = 0) -> None:
    """The same rows and seed, the same file."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(generate_tickets(rows, seed))


def generate_tickets(rows: int, seed: int) -> list[tuple[str, ...]]:
    """Rows in the order of COLUMNS."""
    rng = random.Random(seed)
    queues = list(PHRASES["situations"])
    weights = [1.0 / (1 + position * 0.12) for position in range(len(queues))]
    moment = FIRST_TICKET_AT
    result: list[tuple[str, ...]] = []
    for number in range(rows):
        moment += timedelta(minutes=rng.expovariate(1 / 40))
        queue = rng.choices(queues, weights)[0]
        channel = rng.choice(CHANNELS)
        subject, message = _generate_ticket(rng, queue, channel)
        filed = rng.choice(queues) if rng.random() < LABEL_NOISE_SHARE else queue
        ticket_id = f"T-{10_000 + number}"
        when = moment.strftime("%Y-%m-%d %H:%M")
        result.append((ticket_id, when, channel, subject, message, filed))
    return result


def _generate_ticket(rng: random.Random, queue: str, channel: str) -> tuple[str, str]:
    situation = rng.choice(PHRASES["situations"][queue])
    sentence = rng.choice(situation)
    request = f"{rng.choice(PHRASES['bridges'])} {sentence}{rng.choice(['.', '.', '!', '?', ''])}"
    around = rng.sample(PHRASES["asides"], rng.choice([0, 0, 1]))
    if rng.random() < DISTRACTOR_SHARE:
        around.append(_generate_distractor(rng, queue))
    before = [part for part in around if rng.random() < 0.5]
    after = [part for part in around if part not in before]
    parts = [*before, request, *after]
    if channel != "chat":
        parts = [rng.choice(PHRASES["openings"]), *parts, rng.choice(PHRASES["closings"])]
    message = _fill_placeholders(rng, " ".join(part.strip() for part in parts if part))
    subject = _generate_subject(rng, situation, sentence)
    words = [
        _apply_typo(rng, word) if rng.random() < TYPO_SHARE else word for word in message.split()
    ]
    shown = " ".join(words)
    return subject, shown.lower() if rng.random() < 0.25 else shown


def _generate_distractor(rng: random.Random, queue: str) -> str:
    """A sentence that names another queue's situation without asking for it."""
    elsewhere = rng.choice([name for name in PHRASES["situations"] if name != queue])
    other: str = rng.choice(rng.choice(PHRASES["situations"][elsewhere]))
    detour: str = rng.choice(PHRASES["detours"])
    return detour.replace("{other}", other)


def _generate_subject(rng: random.Random, situation: list[str], sentence: str) -> str:
    if rng.random() < 0.85:
        vague: str = rng.choice(PHRASES["vague_subjects"])
        return vague
    words = _fill_placeholders(rng, rng.choice([sentence, rng.choice(situation)])).split()
    return " ".join(words[: rng.randint(2, 5)])


def _fill_placeholders(rng: random.Random, text: str) -> str:
    for name, choices in PHRASES["fillers"].items():
        while "{" + name + "}" in text:
            text = text.replace("{" + name + "}", rng.choice(choices), 1)
    return text


def _apply_typo(rng: random.Random, word: str) -> str:
    """Swap, drop or double one letter."""
    if len(word) < 4:
        return word
    place = rng.randrange(1, len(word) - 2)
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    dropped = word[:place] + word[place + 1 :]
    doubled = word[:place] + word[place] + word[place:]
    return rng.choice([swapped, dropped, doubled])
