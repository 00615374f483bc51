"""Suggests what a table could teach a model: the task, the text columns and the target column."""

import re
from typing import Any

TARGET_WORDS = {
    "label": 6, "labels": 6, "target": 6, "category": 6, "class": 6, "intent": 6, "sentiment": 6,
    "queue": 5, "topic": 5, "tag": 5, "outcome": 5, "output": 4, "y": 4, "type": 3, "department": 4,
    "team": 3, "priority": 3, "rating": 4, "stars": 4, "score": 4, "quality": 5, "risk": 4,
    "status": 2, "group": 2, "emotion": 6, "spam": 5, "churn": 5, "survived": 5, "price": 3,
    "language": 3, "lang": 3, "answer": 1,
}  # fmt: skip
TEXT_WORDS = {
    "text": 6, "message": 6, "subject": 5, "title": 4, "body": 6, "question": 5, "answer": 3,
    "content": 6, "review": 6, "sentence": 6, "comment": 6, "description": 5, "utterance": 6,
    "query": 5, "ticket": 3, "email": 3, "mail": 3, "tweet": 6, "post": 4, "headline": 5,
    "summary": 4, "document": 5, "abstract": 5, "feedback": 6, "request": 4, "input": 3,
}  # fmt: skip
# Names that never teach: they identify a row, not what it says.
IDENTIFIER = re.compile(
    r"(^|[_\s-])(id|uuid|guid|key|index|hash|url|link|href|date|time|timestamp|created|updated)($|[_\s-])"
    r"|_at$|_on$|^unnamed",
    re.I,
)
# Pairs whose second column is the answer to the first, for text generation.
PROMPT_PAIRS = [
    ("prompt", "completion"), ("prompt", "response"), ("instruction", "output"),
    ("instruction", "response"), ("question", "answer"), ("input", "output"), ("source", "target"),
]  # fmt: skip
CHATS = ("messages", "conversations")
MOST_CLASSES = 1_000
FEWEST_ROWS_PER_CLASS = 2.0


def suggest(columns: list[dict[str, Any]], profile: dict[str, Any]) -> dict[str, Any]:
    """The likeliest use: {task, text_columns, target_column, why}.

    The target is None where the rows carry their own answers (chat messages) or none was found.
    """
    rows = int(profile.get("rows") or 0)
    facts = {column["name"]: column for column in profile.get("columns", [])}
    known = [column | facts.get(column["name"], {}) for column in columns]
    picture = next((c for c in known if c["type"] == "image"), None)
    if picture:
        return _about_pictures(picture, known, rows)
    chat = next((c for c in known if c["type"] == "json" and c["name"].lower() in CHATS), None)
    if chat:
        why = "The column holds chat messages, so a model can learn to give the answers."
        return _answer("text-generation", [chat["name"]], None, why)
    texts = _text_columns(known, rows)
    pair = _prompt_pair(known)
    if pair and pair["target_column"] in texts and pair["text_columns"][0] in texts:
        return pair
    target = _target(known, texts, rows)
    if texts and target:
        texts = [name for name in texts if name != target["name"]]
    if texts and target:
        return _about_texts(texts, target, rows)
    return pair or _table_task(known, target, texts)


def _about_pictures(
    picture: dict[str, Any], known: list[dict[str, Any]], rows: int
) -> dict[str, Any]:
    """Columns as the import of an archive names them."""
    names = {column["name"]: column for column in known}
    label, split = names.get("label"), names.get("split")
    why = "The column holds pictures. Choose what they should be told apart by."
    if label:
        why = f"Each of {rows:,} pictures has one of {label.get('unique', 0):,} labels."
        if split:
            why += " The split comes from the archive."
    found = _answer("image-classification", [], label["name"] if label else None, why)
    return found | {
        "image_column": picture["name"],
        "split_column": split["name"] if split and not split.get("missing") else None,
    }


def _about_texts(texts: list[str], target: dict[str, Any], rows: int) -> dict[str, Any]:
    joined = " and ".join(texts)
    if target["type"] == "number":
        why = f"{joined} is free text and {target['name']} is a number to estimate."
        return _answer("text-regression", texts, target["name"], why)
    why = (
        f"{joined} {'are' if len(texts) > 1 else 'is'} free text; {target['name']} repeats"
        f" {target.get('unique', 0):,} values over {rows:,} rows, as labels do."
    )
    return _answer("text-classification", texts, target["name"], why)


def _prompt_pair(known: list[dict[str, Any]]) -> dict[str, Any] | None:
    names = {column["name"].lower(): column["name"] for column in known}
    for prompt, completion in PROMPT_PAIRS:
        if prompt in names and completion in names:
            asked = [names[prompt]]
            if prompt == "instruction" and "input" in names:
                asked.append(names["input"])
            why = f"{names[completion]} reads as the answer to {' and '.join(asked)}."
            return _answer("text-generation", asked, names[completion], why)
    return None


def _table_task(
    known: list[dict[str, Any]], target: dict[str, Any] | None, texts: list[str]
) -> dict[str, Any]:
    if target is None:
        why = "No column repeats few enough values to be a label. Choose the target yourself."
        task = "text-classification" if texts else "tabular-classification"
        return _answer(task, texts, None, why)
    features = [column for column in known if column["name"] != target["name"]]
    is_quantity = target["type"] == "number" or (
        target["type"] == "integer" and target.get("unique", 0) > 5
    )
    if not features:
        return _answer("tabular-classification", [], None, "There is only one column.")
    task = "tabular-regression" if is_quantity else "tabular-classification"
    why = f"No column is free text; {target['name']} looks like what the other columns decide."
    return _answer(task, [], target["name"], why)


def _text_columns(known: list[dict[str, Any]], rows: int) -> list[str]:
    """Columns of prose, in their order in the table."""
    scored = [(column, _text_score(column, rows)) for column in known]
    best = max((score for _, score in scored), default=0)
    return [column["name"] for column, score in scored if score >= 4 and score >= best - 6]


def _text_score(column: dict[str, Any], rows: int) -> float:
    if column["type"] != "text" or IDENTIFIER.search(column["name"]) or column.get("looks_like"):
        return 0.0
    unique_share = (column.get("unique") or 0) / max(1, rows - (column.get("missing") or 0))
    words = column.get("mean_words") or 0.0
    prose = min(6.0, words) if unique_share > 0.3 else min(1.0, words / 4)
    named = _named(column["name"], TEXT_WORDS)
    return prose + named if (prose >= 1.2 or (named and words > 1)) else 0.0


def _target(known: list[dict[str, Any]], texts: list[str], rows: int) -> dict[str, Any] | None:
    scored = [
        (_target_score(column, position, len(known), rows, is_text=column["name"] in texts), column)
        for position, column in enumerate(known)
    ]
    best = max(scored, key=lambda pair: pair[0], default=(0.0, None))
    return best[1] if best[0] > 0 else None


def _target_score(
    column: dict[str, Any], position: int, count: int, rows: int, *, is_text: bool
) -> float:
    unique = column.get("unique") or 0
    if column["type"] not in ("text", "integer", "boolean", "number") or unique < 2:
        return 0.0
    if IDENTIFIER.search(column["name"]) or column.get("looks_like"):
        return 0.0
    named = _named(column["name"], TARGET_WORDS)
    if column["type"] == "number":
        return named - 1 + 2 * (position == count - 1)
    per_class = rows / unique
    if column["type"] == "text" and (per_class < FEWEST_ROWS_PER_CLASS or unique > MOST_CLASSES):
        return 0.0
    if (column.get("mean_length") or 0) > 60 or (is_text and per_class < 3):
        return 0.0
    few = 2.0 if unique <= 200 else 0.5
    return named + few + 1.5 * (position == count - 1) - (1.5 if column["type"] == "integer" else 0)


def _named(name: str, words: dict[str, int]) -> int:
    parts = re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    return max((words.get(part, 0) for part in parts), default=0)


def _answer(task: str, texts: list[str], target: str | None, why: str) -> dict[str, Any]:
    return {"task": task, "text_columns": texts, "target_column": target, "why": why}
