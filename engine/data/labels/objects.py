"""Finds which field is the label in cells that hold objects, such as [{"name": "billing"},
{"name": "refund"}], which trackers and help desks export.

A field may be the label where nearly every object has it and its values repeat. Numbers beside
names are ids or scores; a field that the label determines, such as its colour, is not a label.
Where several fields remain, a person has to choose.
"""

import ast
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

MAX_CELLS = 3_000
ENOUGH_TIMES = 5  # A repeated cell is counted at most so often.
MAX_VALUE_CHARS = 60
MIN_SHARE = 0.9  # Of the objects have a field that may be the label.
MAX_DISTINCT_SHARE = 0.5  # Of the values may be different: labels repeat.
NAMES_OF_LABELS = (
    "label", "labels", "name", "tag", "category", "topic", "class", "intent", "title", "text",
    "value", "sentiment", "theme", "subject", "标签", "名称", "类别", "分类", "ラベル", "名前",
)  # fmt: skip
CHAT_FIELDS = ({"role", "content"}, {"from", "value"}, {"start", "end"}, {"start_offset"})
Objects = list[dict[str, object]]


def parse_objects(cell: str) -> Objects | None:
    """The objects of a cell, one or a list of them, in JSON or as Python prints them; None for
    anything else."""
    text = cell.strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        try:
            content = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return None
    items = content if isinstance(content, list) else [content]
    return items if all(isinstance(item, dict) for item in items) else None


def find_label_keys(cells: Iterable[str]) -> list[str]:
    """The fields that may be the label, the likeliest first; [] where a cell is not objects."""
    counts = cells if isinstance(cells, Counter) else Counter(cells)
    objects: Objects = []
    for cell in list(counts)[:MAX_CELLS]:
        cell_objects = parse_objects(cell)
        if cell_objects is None:
            return []
        objects += cell_objects * min(counts[cell], ENOUGH_TIMES)
    if not objects or any(fields <= objects[0].keys() for fields in CHAT_FIELDS):
        return []
    values = {
        key: [_as_label(item.get(key)) for item in objects]
        for key in dict.fromkeys(key for item in objects for key in item)
    }
    plausible = [key for key in values if _may_be_label(values[key])]
    texts = [
        key
        for key in plausible
        if any(value is not None and not value.isdigit() for value in values[key])
    ]
    return _choose(texts or plausible, values)


def label_names(cell: str, key: str) -> list[str] | None:
    """The different values of this field in a cell's objects; None where it holds no objects."""
    objects = parse_objects(cell)
    if objects is None:
        return None
    names = (_as_label(item.get(key)) for item in objects)
    return list(dict.fromkeys(name.strip() for name in names if name and name.strip()))


def label_names_json(cell: str | None, key: str) -> str | None:
    """`label_names` as JSON, for SQL."""
    names = None if cell is None else label_names(cell, key)
    return None if names is None else json.dumps(names, ensure_ascii=False)


def are_single(cells: Iterable[str]) -> bool:
    """Whether no cell is a list: then each row has one label."""
    return all(cell.strip().startswith("{") for cell in cells)


def _as_label(value: object) -> str | None:
    if isinstance(value, bool) or value is None or isinstance(value, float | list | dict | tuple):
        return None
    return str(value)


def _may_be_label(values: Sequence[str | None]) -> bool:
    filled = [value for value in values if value and value.strip()]
    different = len(set(filled))
    return (
        len(filled) >= MIN_SHARE * len(values)
        and different >= 2
        and different <= max(2, MAX_DISTINCT_SHARE * len(filled))
        and max(map(len, filled)) <= MAX_VALUE_CHARS
    )


def _choose(keys: Sequence[str], values: dict[str, list[str | None]]) -> list[str]:
    """The fields without those that repeat another one: of equivalent fields the first, and none
    that a field named like a label determines. If some are named like labels, only those."""
    ranked = sorted(keys, key=_rank)
    chosen: list[str] = []
    for key in ranked:
        is_implied = any(
            _determines(values[earlier], values[key])
            and (earlier.casefold() in NAMES_OF_LABELS or _determines(values[key], values[earlier]))
            for earlier in chosen
        )
        if not is_implied:
            chosen.append(key)
    label_like = [key for key in chosen if key.casefold() in NAMES_OF_LABELS]
    return label_like or chosen


def _rank(key: str) -> int:
    name = key.casefold()
    return NAMES_OF_LABELS.index(name) if name in NAMES_OF_LABELS else len(NAMES_OF_LABELS)


def _determines(first: Sequence[str | None], second: Sequence[str | None]) -> bool:
    """Whether each value of the first occurs with only one value of the second."""
    beside: dict[str | None, Counter[str | None]] = defaultdict(Counter)
    for value, companion in zip(first, second, strict=True):
        beside[value][companion] += 1
    return all(len(companions) == 1 for companions in beside.values())
