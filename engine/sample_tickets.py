"""Writes a support-ticket data set of our own making, hard enough to be worth training on.

Tickets mention other queues' words, make typing errors, and about four in a hundred lie in the
wrong queue, as in real help desks. Needs only the standard library.
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
    Path(__file__).with_name("sample_ticket_phrases.json").read_text(encoding="utf-8")
)
COLUMNS = ("ticket_id", "created_at", "channel", "subject", "message", "queue")
CHANNELS = ("email", "email", "email", "web form", "web form", "chat")
MISFILED_SHARE = 0.04
DETOUR_SHARE = 0.38  # Of tickets that also name another queue's situation.
TYPO_SHARE = 0.03  # Of words.
FIRST_TICKET_AT = datetime(2026, 1, 5, 7, 30)


def write_csv(path: Path, rows: int = 3000, seed: int = 0) -> None:
    """The same rows and seed, the same file."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(tickets(rows, seed))


def tickets(rows: int, seed: int) -> list[tuple[str, ...]]:
    """Rows in the order of COLUMNS."""
    dice = random.Random(seed)
    queues = list(PHRASES["situations"])
    weights = [1.0 / (1 + position * 0.12) for position in range(len(queues))]
    moment = FIRST_TICKET_AT
    result: list[tuple[str, ...]] = []
    for number in range(rows):
        moment += timedelta(minutes=dice.expovariate(1 / 40))
        queue = dice.choices(queues, weights)[0]
        channel = dice.choice(CHANNELS)
        subject, message = _write(dice, queue, channel)
        filed = dice.choice(queues) if dice.random() < MISFILED_SHARE else queue
        ticket_id = f"T-{10_000 + number}"
        when = moment.strftime("%Y-%m-%d %H:%M")
        result.append((ticket_id, when, channel, subject, message, filed))
    return result


def _write(dice: random.Random, queue: str, channel: str) -> tuple[str, str]:
    situation = dice.choice(PHRASES["situations"][queue])
    said = dice.choice(situation)
    request = f"{dice.choice(PHRASES['bridges'])} {said}{dice.choice(['.', '.', '!', '?', ''])}"
    around = dice.sample(PHRASES["asides"], dice.choice([0, 0, 1]))
    if dice.random() < DETOUR_SHARE:
        around.append(_detour(dice, queue))
    before = [part for part in around if dice.random() < 0.5]
    after = [part for part in around if part not in before]
    parts = [*before, request, *after]
    if channel != "chat":
        parts = [dice.choice(PHRASES["openings"]), *parts, dice.choice(PHRASES["closings"])]
    message = _fill(dice, " ".join(part.strip() for part in parts if part))
    return _subject(dice, situation, said), _with_typos(dice, message)


def _detour(dice: random.Random, queue: str) -> str:
    """A sentence naming, but not asking for, something another queue answers."""
    elsewhere = dice.choice([name for name in PHRASES["situations"] if name != queue])
    other: str = dice.choice(dice.choice(PHRASES["situations"][elsewhere]))
    detour: str = dice.choice(PHRASES["detours"])
    return detour.replace("{other}", other)


def _subject(dice: random.Random, situation: list[str], said: str) -> str:
    if dice.random() < 0.85:
        vague: str = dice.choice(PHRASES["vague_subjects"])
        return vague
    words = _fill(dice, dice.choice([said, dice.choice(situation)])).split()
    return " ".join(words[: dice.randint(2, 5)])


def _fill(dice: random.Random, text: str) -> str:
    for name, choices in PHRASES["fillers"].items():
        while "{" + name + "}" in text:
            text = text.replace("{" + name + "}", dice.choice(choices), 1)
    return text


def _with_typos(dice: random.Random, text: str) -> str:
    words = [_typo(dice, word) if dice.random() < TYPO_SHARE else word for word in text.split()]
    shown = " ".join(words)
    return shown.lower() if dice.random() < 0.25 else shown


def _typo(dice: random.Random, word: str) -> str:
    """Swap, drop or double one letter."""
    if len(word) < 4:
        return word
    place = dice.randrange(1, len(word) - 2)
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    dropped = word[:place] + word[place + 1 :]
    doubled = word[:place] + word[place] + word[place:]
    return dice.choice([swapped, dropped, doubled])
