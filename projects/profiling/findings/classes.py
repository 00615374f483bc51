"""Findings about labels: rare ones, one that is far more frequent than others, and labels that look
alike, such as two spellings."""

import unicodedata

from projects.profiling.profile import ClassShare, Fix, ProfileWarning
from projects.reading.html_entities import decode_entities
from projects.reading.results import Edit

MIN_LABEL_ROWS = 10
MIN_KEPT_LABELS = 2  # Where the rare ones are dropped or merged.
OTHER = "other"
MIN_CAP, MAX_TIMES_OTHERS = 50, 3
TATWEEL, END_MARKS = "\u0640", " .,;:!。，；：！、"


def find_class_problems(
    balance: list[ClassShare], target: str | None, types: dict[str, str], *, is_single: bool
) -> list[ProfileWarning]:
    """Findings about the labels and their numbers of rows, the most frequent first. `is_single`:
    each cell of the target is one label, so that edits of cells change labels."""
    if not balance:
        return []
    editable = target if is_single and target in types else None
    warnings = [
        *_rare_labels(balance, editable, types),
        *_imbalance(balance, editable),
    ]
    folded: dict[str, str] = {}
    for entry in balance:
        twin = folded.setdefault(_fold(entry["label"]), entry["label"])
        if twin != entry["label"]:
            warnings.append(_twin_warning(twin, entry["label"], target))
    return warnings


def _rare_labels(
    balance: list[ClassShare], target: str | None, types: dict[str, str]
) -> list[ProfileWarning]:
    rare = [entry for entry in balance if entry["count"] < MIN_LABEL_ROWS]
    if not rare:
        return []
    listed = ", ".join(entry["label"][:40] for entry in rare[:3])
    what = "1 label has" if len(rare) == 1 else f"{len(rare)} labels have"
    advice = "Few examples teach little, and the test can hardly say how much. Add some."
    warning: ProfileWarning = {
        "code": "rare_labels",
        "sentence": f"{what} fewer than 10 rows: {listed}.",
        "advice": advice,
    }
    common = [entry for entry in balance if entry["count"] >= MIN_LABEL_ROWS]
    if target is None or len(common) < MIN_KEPT_LABELS:
        return [warning]
    edit: Edit = {"column": target, "least": MIN_LABEL_ROWS}
    drop: Fix = {"title": "Drop their rows", "edits": [{**edit, "op": "drop_rare"}]}
    is_enough = sum(entry["count"] for entry in rare) >= MIN_LABEL_ROWS
    is_taken = any(entry["label"] == OTHER for entry in common)
    if types[target] != "text" or is_taken or not is_enough:
        return [{**warning, "fix": drop}]
    merge: Edit = {**edit, "op": "merge_rare", "to": OTHER}
    title = f"Merge them into {OTHER!r}"
    return [{**warning, "fix": {"title": title, "edits": [merge]}, "other_fix": drop}]


def _imbalance(balance: list[ClassShare], target: str | None) -> list[ProfileWarning]:
    """A finding where one label is far more frequent than another, with the offer to keep fewer
    rows of it: MAX_TIMES_OTHERS those of an average other label."""
    if balance[0]["count"] <= 20 * balance[-1]["count"]:
        return []
    warning: ProfileWarning = {
        "code": "imbalance",
        "sentence": f"{balance[0]['label'][:60]} is over 20 times as frequent as the rarest label.",
        "advice": "Read macro F1 rather than accuracy: always guessing it would look good. Balanced"
        " class weights, on the launch page, make rare labels count as much; dropping rows does"
        " so by learning less.",
    }
    others = [entry["count"] for entry in balance[1:]]
    most = max(MIN_CAP, round(MAX_TIMES_OTHERS * sum(others) / len(others)))
    if target is not None and most < balance[0]["count"]:
        edits: list[Edit] = [{"op": "cap_values", "column": target, "most": most}]
        warning["fix"] = {"title": f"Keep at most {most:,} rows of a label", "edits": edits}
    return [warning]


def _twin_warning(twin: str, label: str, target: str | None) -> ProfileWarning:
    """A warning about two labels that look like one; `twin` is the more frequent."""
    place = f" in {target}" if target else ""
    into = decode_entities(twin)
    sentence = (
        f"{ascii(twin)} and {ascii(label)}{place} look alike, but differ in"
        " characters that are not seen."
    )
    if _fold_case(twin) == _fold_case(label):
        sentence = f"{twin!r} and {label!r}{place} differ only in case or blanks."
    elif _plain_ends(twin) == _plain_ends(label):
        sentence = f"{twin!r} and {label!r}{place} differ only in punctuation at an end."
    elif (twin, label) != (into, decode_entities(label)):
        sentence = f"{twin!r} and {label!r}{place} are the same label, written with HTML entities."
    warning: ProfileWarning = {
        "sentence": sentence,
        "advice": "They are learnt as two labels. Spell them one way.",
    }
    if target:
        warning["fix"] = _merge_labels(
            target, [spelling for spelling in (twin, label) if spelling != into], into
        )
    return warning


def _fold_case(label: str) -> str:
    return " ".join(label.casefold().split())


def _fold(label: str) -> str:
    """A label in a form in which spellings that look alike are equal: without differences of case,
    blanks, invisible characters, Unicode composition (é as one character or two), full-width
    letters, Arabic's tatweel, HTML entities, and marks at the ends."""
    text = decode_entities(label).replace(TATWEEL, "")
    visible = "".join(letter for letter in text if letter.isprintable() or letter.isspace())
    return _plain_ends(unicodedata.normalize("NFKC", visible))


def _plain_ends(label: str) -> str:
    """A label in lower case without END_MARKS at its ends; a label of only such marks is kept."""
    folded = _fold_case(label)
    return folded.strip(END_MARKS) or folded


def _merge_labels(column: str, labels: list[str], into: str) -> Fix:
    edit: Edit = {"op": "merge_values", "column": column, "values": labels, "to": into}
    merged = ", ".join(map(repr, labels))
    return {"title": f"Merge {merged} into {into!r}", "edits": [edit]}
