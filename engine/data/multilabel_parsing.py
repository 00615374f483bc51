"""Parses cells that hold several labels: lists in notations of common tools, or separated words.

Lists with brackets, braces and quotes (JSON, Python, numpy, Label Studio) are parsed as such and
not split at commas. Words between separators are several labels only when the column shows that
they are independent: the same words occur alone, with others, and in other positions. A column such
as "Garden, broken", where every cell has one comma, keeps one label a row, with a warning that it
could be read in another way.
"""

import ast
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html.entities import html5

from engine.data.labels.objects import are_single, find_label_keys, label_names

SEPARATORS = (
    "<br>", "<br/>", "<br />", "|", ";#", ";", ",", "\n", "、", "，", "；", "｜", "／", "/", "\t",
    " + ", " & ", "·", "#", "┋",
)  # fmt: skip
# These sometimes separate labels, but more often the levels of one label.
DOUBTFUL_SEPARATORS = (" > ", " ")
MAX_LABEL_LENGTH = 60
MIN_SEPARATOR_SHARE = 0.1  # Of the cells must hold a mark before it may be a separator.
MAX_LABELS_TO_CELLS = 0.5  # Different labels to different cells: combinations repeat their parts.
MIN_WHOLE_SHARE = 0.9  # Of the cells have whole brackets in each label; a few may be damaged.
MIN_FREE_SHARE = 0.6  # Of the labels must recur alone, in other places or with other counts.
MAX_CHECKED_CELLS = 200  # For marks of places, of which one is enough.
LABEL_STUDIO_KEYS = ("choices", "labels", "taxonomy")

_HASHTAGS = re.compile(r"#[^\s#]+(?:\s*,?\s+#[^\s#]+)*")
_NUMPY = re.compile(r"(?:array\()?\[\s*(.*?)\s*\](?:,\s*dtype=[\w'<>.]+)?\)?", re.DOTALL)
_ADJACENT_QUOTES = re.compile(r"""['"]\s+['"]""")
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,30}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
_VECTOR = re.compile(r"[\[(]?\s*[01](?:\.0*)?(?:[\s,;]+[01](?:\.0*)?)+\s*[\])]?")
# As on Weibo: #a##b#, 【a】【b】; and on Stack Overflow: <a><b>.
_FRAMED = re.compile(r"(?:#[^#\s]+#\s*)+|(?:【[^【】]+】\s*)+|(?:<[^<>/\s]+>\s*)+")
_POSTGRES = re.compile(r"\{([^{}:]*)\}")
_R_VECTOR = re.compile(r"c\((.*)\)", re.DOTALL)
_OPENING = ("[", "(", "{", "#", "【", "<", "array(", "set(", "frozenset(", "c(")


@dataclass(frozen=True)
class ParsedLabels:
    """The labels of each cell, in their order there, and how they were found in it.

    `doubt` is a sentence when the column could also be read in another way.
    """

    labels: list[list[str]]
    format_description: str
    doubt: str = ""
    are_single: bool = False  # Each cell holds one label, in a notation that has no lists.


def parse_label_cells(cells: Sequence[str], per_row: str, separator: str) -> ParsedLabels | None:
    """The labels of each cell; None when every cell is one label.

    `per_row`: auto, one or several. `separator`: chosen by hand, or "" to detect it."""
    if per_row == "one":
        return None
    counts = Counter(cells)  # Cells repeat: each different one is looked at once.
    parsed = _parse_distinct(counts, per_row, separator)
    if parsed is None:
        return None
    labels_of = dict(zip(counts, parsed.labels, strict=True))
    return replace(parsed, labels=[labels_of[cell] for cell in cells])


def _parse_distinct(counts: Counter[str], per_row: str, separator: str) -> ParsedLabels | None:
    """The labels of each different cell, in the order of `counts`."""
    if not separator and (structured := _parse_structured(counts)) is not None:
        return structured
    separator = separator or _find_separator(counts, is_certain=per_row == "several")
    if separator:
        return ParsedLabels(
            [split_labels(cell, separator) for cell in counts], f"separated by {separator!r}"
        )
    if per_row == "several":
        return ParsedLabels([[cell.strip()] for cell in counts], "one label each")
    return None


def possible_separator(cells: Sequence[str]) -> str:
    """A separator that most cells hold although it does not certainly separate labels, or ""."""
    counts = Counter(cells)
    if _parse_structured(counts) is not None or _find_separator(counts):
        return ""
    for separator in (*SEPARATORS, *DOUBTFUL_SEPARATORS):
        is_common = _count_holders(counts, separator) >= len(cells) / 2
        if is_common and _are_labels(counts, separator):
            return separator
    return ""


def _find_separator(counts: Counter[str], *, is_certain: bool = False) -> str:
    """The separator between repeated short labels. Prose with commas repeats no parts."""
    for separator in SEPARATORS:
        holders = _count_holders(counts, separator)
        if is_certain and holders:
            return separator
        if holders >= MIN_SEPARATOR_SHARE * counts.total() and (
            _are_labels(counts, separator) and _are_free(counts, separator)
        ):
            return separator
    return ""


def _count_holders(counts: Counter[str], separator: str) -> int:
    """How many cells hold several parts between separators."""
    return sum(
        count
        for cell, count in counts.items()
        if separator in cell and len(split_labels(cell, separator)) > 1
    )


def split_labels(cell: str, separator: str) -> list[str]:
    """The different labels between separators, without blanks and quotation marks around them."""
    if separator == ";" and "&" in cell:  # The semicolon of an HTML entity is not a separator.
        marked = _ENTITY.sub(_mark_entity, cell)
        pieces = [part.replace("\0", ";") for part in marked.split(";")]
    else:
        pieces = cell.split(separator)
    parts = (_without_quotes(part.strip()) for part in pieces)
    return list(dict.fromkeys(part for part in parts if part))


def _mark_entity(entity: re.Match[str]) -> str:
    is_one = entity[1].startswith("#") or f"{entity[1]};" in html5
    return f"&{entity[1]}\0" if is_one else entity[0]


def _without_quotes(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    return (quoted[1] or quoted[2] or "").strip() if quoted else text


def _is_whole(part: str) -> bool:
    """Whether all brackets of a part are closed in it, unlike those of a list that was split."""
    return all(part.count(a) == part.count(b) for a, b in ("<>", "()", "[]", "{}"))


def _are_labels(counts: Counter[str], separator: str) -> bool:
    """Whether the parts are few and short enough to be labels."""
    parts_of = {cell: split_labels(cell, separator) for cell in counts}
    parts = {part for cell_parts in parts_of.values() for part in cell_parts}
    whole = sum(count for cell, count in counts.items() if all(map(_is_whole, parts_of[cell])))
    return (
        len(parts) <= MAX_LABELS_TO_CELLS * max(len(counts), counts.total() / 2)
        and max(map(len, parts), default=0) <= MAX_LABEL_LENGTH
        and whole >= MIN_WHOLE_SHARE * counts.total()
    )


def _are_free(counts: Counter[str], separator: str) -> bool:
    """Whether parts occur in several positions or with several counts, as independent labels do.

    In "Garden, broken" a word keeps its position and is never alone; labels of a ticket do not.
    """
    places: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for cell in counts:
        parts = split_labels(cell, separator)
        for place, part in enumerate(parts):
            places[part].add((place, len(parts)))
    repeated = [positions for positions in places.values() if len(positions) > 1]
    return len(repeated) >= MIN_FREE_SHARE * len(places)


def _parse_structured(counts: Counter[str]) -> ParsedLabels | None:
    """The labels of cells in a notation for lists, in which a plain word is one label (as Label
    Studio writes a single choice). None when the cells are not in such a notation."""
    marked = sum(count for cell, count in counts.items() if cell.strip().startswith(_OPENING))
    if not marked or marked < MIN_SEPARATOR_SHARE * counts.total():
        return _parse_vectors(counts)
    if all(_VECTOR.fullmatch(cell.strip()) for cell in counts):
        return _parse_vectors(counts)
    if len(keys := find_label_keys(counts)) == 1:
        key = keys[0]
        names_of = [label_names(cell, key) or [] for cell in counts]
        is_single = are_single(counts) and all(len(names) == 1 for names in names_of)
        return ParsedLabels(names_of, f"the field {key!r} of objects", are_single=is_single)
    labels, notations = [], Counter[str]()
    for cell, count in counts.items():
        parsed = _parse_cell(cell.strip())
        if parsed is None:
            return None
        cell_labels, notation = parsed
        labels.append(list(dict.fromkeys(label.strip() for label in cell_labels if label.strip())))
        notations[notation] += count
    notations.pop("", None)
    return ParsedLabels(labels, notations.most_common(1)[0][0] if notations else "one label each")


def _parse_cell(cell: str) -> tuple[list[str], str] | None:
    """The labels of one cell and the name of its notation; None when it is damaged."""
    if not cell.startswith(_OPENING):
        return [cell], ""
    if cell.startswith(("#", "【", "<")) and _FRAMED.fullmatch(cell):
        return [word for word in re.split(r"[#【】<>\s]+", cell) if word], "framed words"
    if cell.startswith("#"):
        is_tagged = _HASHTAGS.fullmatch(cell) is not None
        return ([tag.strip("#, ") for tag in cell.split("#")], "hashtags") if is_tagged else None
    for parse, name in (
        (_read_json, "a JSON list"),
        (_read_python, "a Python list"),
        (_read_numpy, "a numpy array"),
        (_read_postgres, "an array of PostgreSQL"),
        (_read_r, "a vector of R"),
    ):
        labels = parse(cell)
        if labels is not None:
            return labels, name
    return None


def _read_json(cell: str) -> list[str] | None:
    try:
        return _flatten(json.loads(cell))
    except (ValueError, RecursionError):
        return None


def _read_python(cell: str) -> list[str] | None:
    if cell in ("set()", "frozenset()"):
        return []
    if _ADJACENT_QUOTES.search(cell):  # Python would join the strings of a numpy array into one.
        return None
    inner = re.fullmatch(r"frozenset\((.*)\)", cell, re.DOTALL)
    try:
        return _flatten(ast.literal_eval(inner[1] if inner else cell))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _read_numpy(cell: str) -> list[str] | None:
    """['a' 'b'] and array(['a', 'b'], dtype=object); or words without quotes, as in [a, b]."""
    array = _NUMPY.fullmatch(cell)
    if array is None:
        return None
    inner = array[1]
    quoted = [first or second for first, second in _QUOTED.findall(inner)]
    if quoted and not _QUOTED.sub("", inner).strip(" ,\n"):
        return quoted
    if any(mark in inner for mark in "[]{}()'\""):
        return None
    return [part for part in inner.split(",") if part.strip()]


def _read_postgres(cell: str) -> list[str] | None:
    array = _POSTGRES.fullmatch(cell)
    return split_labels(array[1], ",") if array else None


def _read_r(cell: str) -> list[str] | None:
    vector = _R_VECTOR.fullmatch(cell)
    return split_labels(vector[1], ",") if vector else None


def marks_places(cells: Sequence[str]) -> bool:
    """Whether cells label places in a text, as [[0, 5, "PER"]] and Label Studio's spans do, and not
    the whole text."""
    for cell in cells[:MAX_CHECKED_CELLS]:
        text = cell.strip()
        if not text.startswith(("[", "(", "{")):
            continue
        try:
            content = ast.literal_eval(text) if "'" in text else json.loads(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if _is_place(content) or (isinstance(content, list) and any(map(_is_place, content))):
            return True
    return False


def _is_place(content: object) -> bool:
    if isinstance(content, dict):
        return {"start", "end"} <= content.keys() or {
            "start_offset",
            "end_offset",
        } <= content.keys()
    if not isinstance(content, list | tuple) or len(content) != 3:
        return False
    start, end, label = content
    return type(start) is int and type(end) is int and isinstance(label, str)


def _flatten(content: object) -> list[str] | None:
    """Labels of a parsed list; of Label Studio's objects, their choices. None for anything else."""
    if _is_place(content):
        return None
    if isinstance(content, dict):
        return _flatten_object(content)
    if isinstance(content, bool):
        return ["true" if content else "false"]
    if isinstance(content, str | int | float):
        return [str(content)]
    if not isinstance(content, list | tuple | set | frozenset):
        return None
    labels = []
    items = sorted(content, key=str) if isinstance(content, set | frozenset) else content
    for item in items:
        inner = _flatten(item)
        if inner is None:
            return None
        labels += inner
    return labels


def _flatten_object(content: dict[str, object]) -> list[str] | None:
    for key in LABEL_STUDIO_KEYS:
        if key in content:
            return _flatten(content[key])
    if content and all(isinstance(value, bool) for value in content.values()):
        return [str(name) for name, value in content.items() if value]  # {"late": true}
    return None


def _parse_vectors(cells: Counter[str]) -> ParsedLabels | None:
    """Vectors of 0 and 1 such as [0, 1, 0]: every position is a label."""
    if cells.total() < 2 or not all(_VECTOR.fullmatch(cell.strip()) for cell in cells):
        return None
    vectors = [re.findall(r"[01](?:\.0*)?", cell) for cell in cells]
    if len({len(vector) for vector in vectors}) != 1:
        return None
    labels = [
        [f"position {place}" for place, value in enumerate(vector, 1) if value.startswith("1")]
        for vector in vectors
    ]
    width = len(vectors[0])
    return ParsedLabels(
        labels,
        f"vectors of {width} zeros and ones",
        f"The labels have no names: they are called position 1 to position {width}.",
    )
