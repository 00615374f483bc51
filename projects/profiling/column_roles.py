"""Scores how likely each column is free text, or the target, by its name, position, type and
values."""

import re
from dataclasses import dataclass

from projects.profiling import column_names
from projects.profiling.profile import ColumnProfile

MAX_CLASSES = 1_000
MIN_ROWS_PER_CLASS = 2.0
FEW_CLASSES = 200
MAX_LABEL_CHARACTERS = 60
MAX_CODED_CLASSES = 30  # Whole numbers that stand for classes have no more values.
QUANTITY_VALUES = 5  # Whole numbers with more values are a quantity.
TEXT_QUANTITY_VALUES = 20  # The same of what texts are judged by: ratings of ten steps are labels.
MIN_TEXT_SCORE, WIDEST_GAP = 4.0, 6.0
LONE_TEXT_SCORE = 2.0  # Enough where no other column could be read.
PROSE_WORDS = 6.0
DIFFERENT_SHARE = 0.5
SENTENCE_WORDS = 9.0  # Places and titles have fewer.
MAX_NAME_WORDS = 8.0
CODE_WORDS = 2.5
MIN_TELLING_NAME = 3
MEAN_JUDGEMENT_SCORE = 2.0
LAST_COLUMN = 3.0
MAX_UNMARKED = 8  # Each takes a moment to measure.
SERIES_PENALTY = 4.0
EARLIEST_CLOCK = 10_000_000  # Days as 19700101 and seconds since 1970 are above that.
ONLY_CLASSES_SCORE, MIN_MEASURES = 3.0, 4
MAX_PHRASES, MIN_ROWS_PER_PHRASE = 20, 20
WORD_LABEL = re.compile(r"\b[BIES]-[\w-]+")
WORD_LABEL_NAMES = frozenset({"ner_tags", "pos_tags", "chunk_tags", "ner_labels"})
WORKFLOW_PENALTY = 3.0
OUTCOME_SCORE, MAX_OUTCOMES, MAX_OUTCOME_WORDS = 3.0, 5, 3
FILE_NAME = re.compile(r"\w[.](csv|tsv|jsonl?|ndjson|parquet|arrow|xlsx?|txt|zip|gz|pdf)$", re.I)


@dataclass(frozen=True)
class Target:
    """A column that a model may learn to predict, and how likely it is the intended target."""

    column: ColumnProfile
    score: float
    evidence: list[str]

    @property
    def name(self) -> str:
        return self.column["name"]

    def is_quantity(self, *, of_texts: bool) -> bool:
        """Whether its values are numbers to estimate (regression) rather than classes."""
        column = self.column
        if column["type"] not in ("number", "integer") or column["unique"] <= 2:
            return False
        if column_names.is_class_name(column["name"]) and (
            column["unique"] <= MAX_CODED_CLASSES or _is_counted_through(column)
        ):
            return False
        if column["type"] == "number":
            # Classes may be written as decimals: 0.0, 1.0 and 2.0.
            values = [entry["value"] for entry in column["top_values"]]
            is_whole = all(float(value).is_integer() for value in values)
            return not (column["unique"] == len(values) <= QUANTITY_VALUES and is_whole)
        return column["unique"] > (TEXT_QUANTITY_VALUES if of_texts else QUANTITY_VALUES)


def _is_counted_through(column: ColumnProfile) -> bool:
    """Whether the values are all integers from 0 or 1 to a highest one, as numbers of classes."""
    low, high = column.get("min"), column.get("max")
    return (
        column["type"] == "integer"
        and low in (0, 1)
        and high == low + column["unique"] - 1
        and column["unique"] <= FEW_CLASSES
    )


def is_identifier(column: ColumnProfile, rows: int) -> bool:
    """Whether the column only identifies rows."""
    if column_names.is_numbered_class_name(column["name"]) and column["unique"] <= FEW_CLASSES:
        return False
    low, high = column.get("min"), column.get("max")
    differs = column["type"] == "integer" and column["unique"] == rows > 2
    if column_names.names_measure(column["name"]) and _is_measured(column, rows):
        return False
    if column_names.is_identifier_name(column["name"]) or column.get("looks_like"):
        is_answer = column["unique"] <= 2 and column_names.may_name_span(column["name"])
        return differs or not (is_answer or _is_span_of_time(column))
    return differs and low is not None and high is not None and high - low == rows - 1


def _is_measured(column: ColumnProfile, rows: int) -> bool:
    """Whether cells are numbers with fractions or numbers that repeat, unlike those of an index."""
    is_counted = column["type"] == "integer" and not _mostly_differs(column, rows)
    return column["type"] == "number" or is_counted


def _is_span_of_time(column: ColumnProfile) -> bool:
    """Whether the column holds durations, by a name such as `delivery_time` and numbers too small
    for timestamps."""
    is_number = column["type"] in ("number", "integer") and not column.get("looks_like")
    return (
        is_number
        and column_names.may_name_span(column["name"])
        and (column.get("max") or 0) < EARLIEST_CLOCK
    )


def find_text_columns(columns: list[ColumnProfile], rows: int) -> list[str]:
    """The names of columns of free text, in the table's order, with columns that name the thing
    each text is about."""
    scored = [(column["name"], text_score(column, rows)) for column in columns]
    best = max((score for _, score in scored), default=0.0)
    least = MIN_TEXT_SCORE
    if best < MIN_TEXT_SCORE and not any(_is_feature(column, rows) for column in columns[:-1]):
        least = LONE_TEXT_SCORE
    prose = [name for name, score in scored if score >= least and score >= best - WIDEST_GAP]
    if not prose:
        return prose
    named_things = [column["name"] for column in columns if _names_things(column, rows)]
    return [name for name, _ in scored if name in prose or name in named_things]


def _names_things(column: ColumnProfile, rows: int) -> bool:
    """Whether the column names, in a few words, the thing that each row's text is about."""
    is_text = column["type"] == "text" and column_names.names_thing(column["name"])
    return is_text and _mostly_differs(column, rows) and (column.get("mean_words") or 0) >= 2


def _mostly_differs(column: ColumnProfile, rows: int) -> bool:
    return column["unique"] > DIFFERENT_SHARE * max(1, rows - column["missing"])


def find_lone_texts(columns: list[ColumnProfile], rows: int) -> list[ColumnProfile]:
    """Columns of text that differ from row to row and are not identifiers, such as web addresses,
    names and sequences: what a table without prose and features may be learnt from."""
    return [
        column
        for column in columns
        if column["type"] == "text"
        and _mostly_differs(column, rows)
        and column.get("looks_like") in (None, "", "url")
        and (
            not column_names.is_identifier_name(column["name"])
            or column_names.is_address_name(column["name"])
        )
    ]


def text_score(column: ColumnProfile, rows: int) -> float:
    """How likely the column is free text, by the words in a cell and its name; 0 for no text."""
    if column["type"] != "text" or is_identifier(column, rows):
        return 0.0
    if column["unique"] <= MAX_PHRASES and rows >= MIN_ROWS_PER_PHRASE * column["unique"]:
        return 0.0  # Phrases of a program that repeat, such as `Payment for invoice`, are classes.
    words = column.get("mean_words") or 0.0
    unique_share = column["unique"] / max(1, rows - column["missing"])
    name_score = column_names.text_name_score(column["name"])
    if column_names.is_person_or_thing_name(column["name"]) and words < MAX_NAME_WORDS:
        return 0.0
    if not name_score and words < CODE_WORDS and _are_codes(column["examples"]):
        return 0.0
    prose = min(PROSE_WORDS, words) if unique_share > 0.3 else min(1.0, words / 4)
    is_named = name_score and (words > 1 or (name_score >= 6 and unique_share > 0.3))
    return prose + name_score if (prose >= 1.2 or is_named) else 0.0


def _are_codes(examples: list[str]) -> bool:
    return bool(examples) and all(any(map(str.isdigit, example)) for example in examples)


def is_prose(column: ColumnProfile, rows: int) -> bool:
    """Whether cells are sentences, by their number of words or by the column's name."""
    return text_score(column, rows) > 0 and (
        (column.get("mean_words") or 0.0) >= SENTENCE_WORDS
        or column_names.text_name_score(column["name"]) >= 5
    )


def find_features(columns: list[ColumnProfile], rows: int) -> list[ColumnProfile]:
    """Columns that a table model could learn from."""
    return [column for column in columns if _is_feature(column, rows)]


def _is_feature(column: ColumnProfile, rows: int) -> bool:
    if column["unique"] < 2 or is_identifier(column, rows):
        return False
    if column["type"] in ("number", "integer", "boolean"):
        return True
    return column["type"] == "text" and column["unique"] <= max(2, 0.5 * rows)


def rank_targets(columns: list[ColumnProfile], texts: list[str], rows: int) -> list[Target]:
    """The likeliest targets first; columns that cannot be one are left out."""
    if any(map(tags_words, columns)):
        columns = [
            column for column in columns if column_names.target_name_score(column["name"]) >= 6
        ]
    has_late_texts = any(
        column_names.is_late_text_name(column["name"]) and column["name"] in texts
        for column in columns
    )
    names = [column["name"] for column in columns]
    only_classes = _find_only_classes(columns, rows)
    is_message = bool(texts) and not any(map(column_names.is_review_name, texts))
    targets = []
    series = column_names.find_series(names)
    for position, column in enumerate(columns, 1):
        target = _judge_target(column, position, len(columns), texts, rows)
        if (
            target is None
            or all(map(FILE_NAME.search, column["examples"]))
            or column_names.is_y_coordinate(column["name"], names)
        ):
            continue
        if texts:
            bonus = column_names.route_bonus(column["name"], names)
            bonus -= WORKFLOW_PENALTY if _holds_workflow_states(column) else 0.0
            target = Target(column, target.score + bonus, target.evidence)
        if column is only_classes and not texts:
            evidence = [*target.evidence, "it alone repeats few values"]
            target = Target(column, target.score + ONLY_CLASSES_SCORE, evidence)
        if series:
            target = _compare_with_series(target, series, columns, rows)
        if (has_late_texts and column_names.is_late_outcome_name(column["name"])) or (
            is_message and column_names.is_satisfaction_name(column["name"])
        ):
            target = Target(column, target.score - 3, target.evidence)
        targets.append(target)
    likely = [target for target in targets if target.score > 0]
    return sorted(likely or targets, key=lambda target: -target.score)


def _find_only_classes(columns: list[ColumnProfile], rows: int) -> ColumnProfile | None:
    """The only column with few values in a table of numbers, which is likely the class; else None.
    Identifiers do not count."""
    others = [column for column in columns if not is_identifier(column, rows)]
    few = [column for column in others if column["unique"] <= MAX_CODED_CLASSES]
    if len(few) != 1 or len(others) - 1 < MIN_MEASURES:
        return None
    is_measured = all(
        column["type"] in ("number", "integer") for column in others if column is not few[0]
    )
    return few[0] if is_measured else None


def list_unmarked_numbers(
    columns: list[ColumnProfile], ranked: list[Target], rows: int
) -> list[Target]:
    """Columns of quantities that were not ranked, as neither their name nor position suggests that
    they are targets."""
    ranked_names = {target.name for target in ranked}
    numbers = [
        column
        for column in columns
        if column["type"] in ("number", "integer")
        and column["unique"] > MAX_CODED_CLASSES
        and column["name"] not in ranked_names
        and not column_names.describes_where_or_who(column["name"])
        and not is_identifier(column, rows)
    ]
    return [Target(column, 0.0, []) for column in numbers[:MAX_UNMARKED]]


def _compare_with_series(
    target: Target, series: set[str], columns: list[ColumnProfile], rows: int
) -> Target:
    """The target with a lower score if it is one of the numbered columns, which are inputs, and a
    higher one if it is the only other column."""
    if target.name in series:
        return Target(target.column, target.score - SERIES_PENALTY, target.evidence)
    others = [
        column
        for column in columns
        if column["name"] not in series and not is_identifier(column, rows)
    ]
    if len(others) > 1:
        return target
    evidence = [*target.evidence, "all other columns are counted through"]
    return Target(target.column, target.score + SERIES_PENALTY, evidence)


def _judge_target(
    column: ColumnProfile, position: int, columns: int, texts: list[str], rows: int
) -> Target | None:
    if not _can_be_target(column, texts, rows):
        return None
    name_score, evidence = _score_name(column), []
    unique = column.get("cell_labels", column["unique"])
    score = name_score + _type_score(column, unique)
    if name_score >= MIN_TELLING_NAME:
        evidence.append("its name says so")
    if is_outcome := _holds_outcomes(column):
        score += OUTCOME_SCORE
        evidence.append("its values are outcomes")
    if position == columns and not column_names.is_guess_name(column["name"]):
        score += LAST_COLUMN / (2 if column_names.is_generic_name(column["name"]) else 1)
        evidence.append("it is the last column")
    elif position == 1 and unique <= FEW_CLASSES:
        score += 0.75
    if name_score < 4 and not is_outcome and column_names.describes_where_or_who(column["name"]):
        score -= 3.0
    score -= 4.0 * column["missing"] / max(1, rows)
    return Target(column, score, evidence)


def _score_name(column: ColumnProfile) -> float:
    """How likely the column is a target by its name, given the type of its cells."""
    name = column["name"]
    name_score = column_names.target_name_score(name)
    if column["type"] == "number" and column_names.is_judgement_name(name):
        return name_score + MEAN_JUDGEMENT_SCORE  # Of many people.
    if column["type"] != "text":
        return name_score
    if column["unique"] > 2 and column_names.may_name_span(name):
        return 0.0  # Morning and evening.
    return name_score / 2 if column_names.names_quantity(name) else name_score


def _holds_outcomes(column: ColumnProfile) -> bool:
    """Whether all its few values say how something ended or was judged. A direction such as `Up`
    counts only as a whole value."""
    values = [entry["value"].casefold().split() for entry in column["top_values"]]
    if column["type"] != "text" or not 2 <= column["unique"] <= len(values) <= MAX_OUTCOMES:
        return False
    return all(
        len(words) <= MAX_OUTCOME_WORDS
        and column_names.OUTCOME_VALUES & set(words)
        and (len(words) == 1 or not column_names.DIRECTIONS & set(words))
        for words in values
    )


def _holds_workflow_states(column: ColumnProfile) -> bool:
    values = {"".join(entry["value"].casefold().split()) for entry in column["top_values"]}
    return column["type"] == "text" and bool(values) and values <= column_names.WORKFLOW_VALUES


def tags_words(column: ColumnProfile) -> bool:
    """Whether cells are labels of words in CoNLL's notation, such as B-PER, or numbers of these
    under the names that Hugging Face uses."""
    if column["name"].strip().casefold() in WORD_LABEL_NAMES:
        return True
    cells = [entry["value"] for entry in column["top_values"]] or column["examples"]
    words = {word for cell in cells for word in WORD_LABEL.findall(cell)}
    plain = {word for cell in cells for word in re.findall(r"[\w-]+", cell)}
    return len(words) > 1 and "O" in plain and plain == words | {"O"}


def _can_be_target(column: ColumnProfile, texts: list[str], rows: int) -> bool:
    unique = column.get("cell_labels", column["unique"])
    is_list = "cell_labels" in column
    if column["type"] not in ("text", "integer", "boolean", "number") and not is_list:
        return False
    if unique < 2 or is_identifier(column, rows) or tags_words(column):
        return False
    if column["type"] != "text":
        return True
    per_class = rows / unique
    is_repeated = per_class >= (3 if column["name"] in texts else MIN_ROWS_PER_CLASS)
    is_short = (column.get("mean_length") or 0) <= MAX_LABEL_CHARACTERS
    return is_repeated and is_short and unique <= MAX_CLASSES


def _type_score(column: ColumnProfile, unique: int) -> float:
    """The score of a target's type: higher for few values, highest for two."""
    both = 0.75 if unique == 2 else 0.0
    if column["type"] == "integer" and "cell_labels" not in column:
        return both + (1.0 if unique <= MAX_CODED_CLASSES else 0.0)
    if column["type"] == "number":
        return both
    return both + (2.0 if unique <= FEW_CLASSES else 0.5)
