"""Cells that hold several labels: lists in the notations of common tools, or separated words.

What a cell is comes first: brackets, braces and quotes are read as what they are (JSON, Python,
numpy, Label Studio) and never cut at commas. Words between separators are several labels only when
the column shows it: the same words recur alone, in other company and in other places. A column such
as "Garden, broken", where every cell has one comma, keeps one label a row, and says that it could
be read otherwise.
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
# What separates labels now and then, but levels of one label more often.
DOUBTFUL_SEPARATORS = (" > ", " ")
MAX_LABEL_LENGTH = 60
MIN_SEPARATOR_SHARE = 0.1  # Of the cells must hold a separator before it is taken for one.
MAX_LABELS_TO_CELLS = 0.5  # Different labels to different cells: combinations repeat their parts.
MIN_WHOLE_SHARE = 0.9  # Of the cells have whole brackets in each label; a few may be damaged.
MIN_FREE_SHARE = 0.6  # Of the labels must recur alone, in other places or with other counts.
LOOKED_AT = 200  # Cells, of which one that marks places is enough.
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
    are_single: bool = False  # One label in each cell, whose notation allows for no more.


def parse_label_cells(cells: Sequence[str], per_row: str, separator: str) -> ParsedLabels | None:
    """None when every cell is one label. `per_row` is auto, one or several."""
    if per_row == "one":
        return None
    counts = Counter(cells)  # Cells repeat: each different one is looked at once.
    found = _parse_distinct(counts, per_row, separator)
    if found is None:
        return None
    labels_of = dict(zip(counts, found.labels, strict=True))
    return replace(found, labels=[labels_of[cell] for cell in cells])


def _parse_distinct(counts: Counter[str], per_row: str, separator: str) -> ParsedLabels | None:
    """The labels of each different cell, in the order of `counts`."""
    if not separator and (structured := _parse_structured(counts)) is not None:
        return structured
    found = separator or _find_separator(counts, is_certain=per_row == "several")
    if found:
        return ParsedLabels(
            [split_labels(cell, found) for cell in counts], f"separated by {found!r}"
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
    """How many cells hold several parts."""
    return sum(
        count
        for cell, count in counts.items()
        if separator in cell and len(split_labels(cell, separator)) > 1
    )


def split_labels(cell: str, separator: str) -> list[str]:
    """The different labels between separators, without blanks and quotation marks around them."""
    if separator == ";" and "&" in cell:  # One that ends an HTML entity separates nothing.
        marked = _ENTITY.sub(_mark_entity, cell)
        pieces = [part.replace("\0", ";") for part in marked.split(";")]
    else:
        pieces = cell.split(separator)
    parts = (_without_quotes(part.strip()) for part in pieces)
    return list(dict.fromkeys(part for part in parts if part))


def _mark_entity(found: re.Match[str]) -> str:
    is_one = found[1].startswith("#") or f"{found[1]};" in html5
    return f"&{found[1]}\0" if is_one else found[0]


def _without_quotes(text: str) -> str:
    found = _QUOTED.fullmatch(text)
    return (found[1] or found[2] or "").strip() if found else text


def _is_whole(part: str) -> bool:
    """Whether no bracket of a part opens or closes in another one, as in <b>one</b>."""
    return all(part.count(a) == part.count(b) for a, b in ("<>", "()", "[]", "{}"))


def _are_labels(counts: Counter[str], separator: str) -> bool:
    """Whether the parts are few and short enough to be labels."""
    labels = {cell: split_labels(cell, separator) for cell in counts}
    parts = {part for found in labels.values() for part in found}
    whole = sum(counts[cell] for cell, found in labels.items() if all(map(_is_whole, found)))
    return (
        len(parts) <= MAX_LABELS_TO_CELLS * max(len(counts), counts.total() / 2)
        and max(map(len, parts), default=0) <= MAX_LABEL_LENGTH
        and whole >= MIN_WHOLE_SHARE * counts.total()
    )


def _are_free(counts: Counter[str], separator: str) -> bool:
    """Whether labels combine freely, as independent ones do.

    In "Garden, broken" a word keeps its place and never stands alone; labels of a ticket do not.
    """
    places: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for cell in counts:
        parts = split_labels(cell, separator)
        for place, part in enumerate(parts):
            places[part].add((place, len(parts)))
    repeated = [seen for seen in places.values() if len(seen) > 1]
    return len(repeated) >= MIN_FREE_SHARE * len(places)


def _parse_structured(counts: Counter[str]) -> ParsedLabels | None:
    """Cells in a notation for lists; a plain word among them is one label (as Label Studio writes
    a single choice). None when they are not in one."""
    marked = sum(count for cell, count in counts.items() if cell.strip().startswith(_OPENING))
    if not marked or marked < MIN_SEPARATOR_SHARE * counts.total():
        return _parse_vectors(counts)
    if all(_VECTOR.fullmatch(cell.strip()) for cell in counts):
        return _parse_vectors(counts)
    if len(keys := find_label_keys(counts)) == 1:
        key = keys[0]
        read = [label_names(cell, key) or [] for cell in counts]
        is_single = are_single(counts) and all(len(found) == 1 for found in read)
        return ParsedLabels(read, f"the field {key!r} of objects", are_single=is_single)
    labels, names = [], Counter[str]()
    for cell, count in counts.items():
        parsed = _parse_cell(cell.strip())
        if parsed is None:
            return None
        found, notation = parsed
        labels.append(list(dict.fromkeys(label.strip() for label in found if label.strip())))
        names[notation] += count
    names.pop("", None)
    return ParsedLabels(labels, names.most_common(1)[0][0] if names else "one label each")


def _parse_cell(cell: str) -> tuple[list[str], str] | None:
    """The labels of one cell and the name of its notation; None when it is damaged."""
    if not cell.startswith(_OPENING):
        return [cell], ""
    if cell.startswith(("#", "【", "<")) and _FRAMED.fullmatch(cell):
        return [one for one in re.split(r"[#【】<>\s]+", cell) if one], "framed words"
    if cell.startswith("#"):
        is_tagged = _HASHTAGS.fullmatch(cell) is not None
        return ([tag.strip("#, ") for tag in cell.split("#")], "hashtags") if is_tagged else None
    for read, name in (
        (_read_json, "a JSON list"),
        (_read_python, "a Python list"),
        (_read_numpy, "a numpy array"),
        (_read_postgres, "an array of PostgreSQL"),
        (_read_r, "a vector of R"),
    ):
        found = read(cell)
        if found is not None:
            return found, name
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
    found = _NUMPY.fullmatch(cell)
    if found is None:
        return None
    inner = found[1]
    quoted = [first or second for first, second in _QUOTED.findall(inner)]
    if quoted and not _QUOTED.sub("", inner).strip(" ,\n"):
        return quoted
    if any(mark in inner for mark in "[]{}()'\""):
        return None
    return [part for part in inner.split(",") if part.strip()]


def _read_postgres(cell: str) -> list[str] | None:
    found = _POSTGRES.fullmatch(cell)
    return split_labels(found[1], ",") if found else None


def _read_r(cell: str) -> list[str] | None:
    found = _R_VECTOR.fullmatch(cell)
    return split_labels(found[1], ",") if found else None


def marks_places(cells: Sequence[str]) -> bool:
    """Whether cells say where in a text something is, as [[0, 5, "PER"]] and Label Studio's spans
    do, and not what the whole text is."""
    for cell in cells[:LOOKED_AT]:
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
