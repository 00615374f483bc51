"""Converts objects to rows: fields of nested objects become columns such as "ticket.body", tasks of
Label Studio become texts with their labels. Lists and chats stay JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from projects.reading.json.annotations import Row
from projects.reading.json.exports import EXPORTS, Export, UnreadableRow
from projects.reading.json.typed_values import LongNumber, parse_float, unwrap
from projects.reading.results import Issues

MAX_FIELD_DEPTH = 6
MAX_NESTED_FIELDS = 60  # An object with more different keys is a map, not a record.
# Fields whose content means something as a whole, to chats and annotations.
WHOLE_FIELDS = {"messages", "conversations", "conversation", "tools", "chosen", "rejected"}


class CountingDecoder(json.JSONDecoder):
    """Decodes JSON that is not strictly valid, and counts what it changed: NaN and Infinity become
    missing, of fields that an object names twice the last one is kept, and numbers too long for a
    float are kept as text."""

    def __init__(self) -> None:
        super().__init__(
            object_pairs_hook=self._build, parse_constant=self._drop, parse_float=self._parse
        )
        self.repeated: Counter[str] = Counter()
        self.no_numbers = 0
        self.long_numbers = 0

    def _build(self, pairs: list[tuple[str, object]]) -> Row:
        row = dict(pairs)
        if len(row) < len(pairs):
            names = Counter(name for name, _ in pairs)
            self.repeated.update(name for name, count in names.items() if count > 1)
        return row

    def _drop(self, _: str) -> None:
        self.no_numbers += 1

    def _parse(self, text: str) -> float | LongNumber:
        value = parse_float(text)
        self.long_numbers += isinstance(value, LongNumber)
        return value

    def report(self, issues: Issues) -> None:
        if self.long_numbers:
            issues.add(
                "long_numbers",
                "1 number has more digits than a number keeps, so that it was kept as text."
                if self.long_numbers == 1
                else f"{self.long_numbers:,} numbers have more digits than a number keeps, so that"
                " they were kept as text.",
            )
        for name, count in self.repeated.most_common():
            issues.add(
                "repeated_field",
                f"{'1 object names' if count == 1 else f'{count:,} objects name'} the field"
                f" {name!r} twice; the last one was kept.",
                column=name,
            )
        if self.no_numbers:
            issues.add(
                "no_numbers",
                "1 value such as NaN is no number and was read as missing."
                if self.no_numbers == 1
                else f"{self.no_numbers:,} values such as NaN are no numbers and were read as"
                " missing.",
            )


@dataclass(frozen=True)
class Shape:
    """How the objects of one file become rows. `maps` are the paths of objects that stay JSON, as
    their keys differ too much from row to row to be columns."""

    is_label_studio: bool
    maps: frozenset[str]
    export: Export | None = None

    def flatten(self, row: Row) -> "Row | UnreadableRow":
        """The row with the fields of nested objects beside its own."""
        if self.export is not None:
            return self.export.convert(row)
        return _flatten(label_studio_row(row) if self.is_label_studio else row, self.maps)


@dataclass
class ShapeFinder:
    """Collects, over all objects of a file, what decides how they become rows."""

    rows: int = 0
    tasks: int = 0
    exported: Counter[int] = field(default_factory=Counter)  # Rows by their place in EXPORTS.
    disagreeing: int = 0  # Tasks that annotators labelled differently.
    _values: dict[int, set[str]] = field(default_factory=dict)  # Of the fields that differ.
    _keys: dict[str, set[str]] = field(default_factory=dict)
    _task_keys: dict[str, set[str]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.rows += 1
        for place, export in enumerate(EXPORTS):
            if export.matches(row):
                self.exported[place] += 1
                if len(values := self._values.setdefault(place, set())) < 2:
                    values.add(str(row.get(export.differs)))
        if _is_task(row):
            self.tasks += 1
            self.disagreeing += _annotators_disagree(row)
            _collect_keys(label_studio_row(row), "", self._task_keys, 0)
        _collect_keys(row, "", self._keys, 0)

    @property
    def shape(self) -> Shape:
        is_label_studio = 0 < self.rows == self.tasks
        keys = self._task_keys if is_label_studio else self._keys
        maps = frozenset(path for path, names in keys.items() if len(names) > MAX_NESTED_FIELDS)
        exports = [
            EXPORTS[place]
            for place, count in sorted(self.exported.items())
            if count == self.rows and (not EXPORTS[place].differs or len(self._values[place]) > 1)
        ]
        return Shape(is_label_studio, maps, exports[0] if exports else None)

    def report(self, issues: Issues) -> None:
        if self.shape.is_label_studio and self.disagreeing:
            issues.add(
                "annotators_disagree",
                f"Tasks that annotators disagree about: {self.disagreeing:,} of {self.tasks:,}. The"
                " first annotation of each was kept.",
            )
        if (export := self.shape.export) is not None:
            issues.add("export_of_program", export.note)


def flatten_rows(rows: Sequence[object], issues: Issues | None = None) -> list[object]:
    """Rows whose nested objects became fields "outer.inner"; other values are left alone."""
    finder = ShapeFinder()
    for row in rows:
        if isinstance(row, dict):
            finder.add(row)
    if issues is not None:
        finder.report(issues)
    shape = finder.shape
    return [shape.flatten(row) if isinstance(row, dict) else row for row in rows]


def _is_task(row: Row) -> bool:
    """Whether this is a task of a Label Studio export (JSON, not JSON-MIN)."""
    annotations = row.get("annotations", row.get("completions"))
    return isinstance(row.get("data"), dict) and isinstance(annotations, list)


def label_studio_row(task: Row) -> Row:
    """A task's data and, for each control of the labelling page, what was chosen there.

    Of several annotations the first that was not cancelled counts; a task without one has no
    label.
    """
    data = task.get("data")
    row: Row = dict(data) if isinstance(data, dict) else {}
    for name, value in next(iter(_answers(task)), {}).items():
        row[name if name not in row else f"{name}_label"] = value
    return row


def _annotators_disagree(task: Row) -> bool:
    answers = _answers(task)
    return any(answer != answers[0] for answer in answers[1:])


def _answers(task: Row) -> list[Row]:
    """What each annotation that was not cancelled says, by the name of its control."""
    annotations = task.get("annotations", task.get("completions"))
    return [
        _answers_of_one(annotation.get("result") or [])
        for annotation in (annotations if isinstance(annotations, list) else [])
        if isinstance(annotation, dict) and not annotation.get("was_cancelled")
    ]


def _answers_of_one(results: Sequence[object]) -> Row:
    """Marks of places in a text are kept with their places, all of them: the label of a place is
    none of the text."""
    answers: Row = {}
    places: dict[str, list[object]] = {}
    for result in results:
        name, content = _read_result(result)
        value = result.get("value") if isinstance(result, dict) else None
        if name and isinstance(value, dict) and {"start", "end"} <= value.keys():
            places.setdefault(name, []).append(value)
        elif name:
            answers[name] = content
    return answers | places


def _read_result(result: object) -> tuple[str, object]:
    if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
        return "", None
    value, kind = result["value"], str(result.get("type", ""))
    content = value.get(kind, value.get("choices", value))
    if (
        isinstance(content, list)
        and len(content) == 1
        and isinstance(content[0], str | int | float)
    ):
        content = content[0]
    return str(result.get("from_name") or kind), content


def _collect_keys(value: Row, path: str, keys: dict[str, set[str]], depth: int) -> None:
    for name, item in value.items():
        if isinstance(item, dict) and name not in WHOLE_FIELDS and depth < MAX_FIELD_DEPTH:
            inner = f"{path}{name}."
            if len(names := keys.setdefault(inner, set())) <= MAX_NESTED_FIELDS:
                names |= set(item)
            _collect_keys(item, inner, keys, depth + 1)


def _flatten(row: Row, maps: frozenset[str], path: str = "", depth: int = 0) -> Row:
    flat: Row = {}
    for name, wrapped in row.items():
        inner, value = f"{path}{name}.", unwrap(wrapped)
        if isinstance(value, dict) and set(value) == {"choices"}:  # Label Studio's JSON-MIN.
            fields: Row = {f"{path}{name}": value["choices"]}
        elif (
            isinstance(value, dict)
            and value
            and name not in WHOLE_FIELDS
            and inner not in maps
            and depth < MAX_FIELD_DEPTH
        ):
            fields = _flatten(value, maps, inner, depth + 1)
        else:
            fields = {f"{path}{name}": value}
        # {"a.b": 1, "a": {"b": 2}} names one column twice.
        flat |= {key if key not in flat else f"{key}_2": item for key, item in fields.items()}
    return flat
