"""Suggests what a model could learn from a table: up to MAX_PROPOSALS uses, the likeliest first.

Evidence are names, positions, types and values of the columns; where these do not decide, each
target is also predicted from its inputs by a quick model (projects.profiling.learnability).
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Protocol

from engine.data.label_columns import ABSENT_WORDS, PRESENT_WORDS
from engine.data.splitting import SPLIT_NAMES
from projects.profiling import column_names, column_roles
from projects.profiling.column_roles import MIN_TELLING_NAME, Target
from projects.profiling.generation_columns import (
    holds_chats,
    is_certain_pair,
    is_spoken_pair,
    suggest_chats,
    suggest_pair_of_texts,
    suggest_prompt_pair,
)
from projects.profiling.profile import ColumnProfile, Suggestion, build_suggestion

SPLIT_COLUMNS = frozenset({
    "split", "set", "subset", "partition", "fold", "dataset_split", "data_split", "usage", "phase",
    "sheet",  # The column of sheets' names, which an import of several sheets adds.
})  # fmt: skip
MAX_SPLIT_VALUES = 4
CLEAR_TARGET_SCORE = 5  # Of a name: such a target is preferred to marks in several columns.
MAX_PROPOSALS = 3
MAX_TARGETS = 4
PROSE_BONUS, TABLE_BONUS = 3.0, 2.0
JUDGEMENT_BONUS = 2.5
UNNAMED_PENALTY = 1.0  # Tables have their target last more often than texts their label.
SORTING_PENALTY = 3.0
FEW_FEATURES = 2
CLEAR_LEAD = 2.5  # Of the best use over all others: then skill is not measured.
SKILL_WEIGHT = 4.0
NO_SKILL, ALL_SKILL = 0.02, 0.995
MIN_TOLD_SKILL = 0.1


class Probe(Protocol):
    """Measures how well inputs predict a target, from 0 to 1; None where it cannot be measured."""

    def skill(
        self, inputs: list[ColumnProfile], texts: list[str], target: ColumnProfile
    ) -> float | None: ...


@dataclass(frozen=True)
class _Use:
    """A possible use of a table: a target and its inputs, and how likely it is intended."""

    target: Target
    texts: list[str]
    inputs: list[ColumnProfile]
    score: float
    skill: float | None = None
    is_beside_prose: bool = False  # The same target may also be learnt from free text.


def propose_mappings(
    columns: list[ColumnProfile], rows: int, probe: Probe | None = None
) -> list[Suggestion]:
    """The likeliest uses of a table with these columns and this many rows; at least one."""
    split = next((column["name"] for column in columns if _is_split(column)), None)
    proposals = _propose([column for column in columns if column["name"] != split], rows, probe)
    if split is not None:
        for proposal in proposals:
            proposal["split_column"] = split
            proposal["why"] += f" {split} says which rows are for training and which for the test."
    return proposals


def _is_split(column: ColumnProfile) -> bool:
    """Whether the column assigns each row to train, validation or test."""
    words = {entry["value"].strip().casefold() for entry in column["top_values"]}
    return (
        column["type"] == "text"
        and column["name"].strip().casefold() in SPLIT_COLUMNS
        and not column["missing"]
        and column["unique"] <= MAX_SPLIT_VALUES
        and bool(words)
        and words <= SPLIT_NAMES.keys()
    )


def _propose(columns: list[ColumnProfile], rows: int, probe: Probe | None) -> list[Suggestion]:
    image = next((column for column in columns if column["type"] == "image"), None)
    if image:
        return [_suggest_image_task(image, columns, rows)]
    pair = suggest_prompt_pair(columns)
    chats = [column["name"] for column in columns if holds_chats(column)]
    is_answered = pair is not None and pair["text_columns"][0] in chats  # In another column.
    if chats and not is_answered:
        return [suggest_chats(chats[0], columns)]
    texts = column_roles.find_text_columns(columns, rows)
    targets = column_roles.rank_targets(columns, texts, rows)
    proposals = [_describe(use, rows) for use in _rank_uses(columns, texts, targets, rows, probe)]
    marks = _find_marks(columns)
    inputs = [name for name in texts if name not in marks]
    if (
        inputs
        and _are_adjacent(marks, columns)
        and not (targets and _is_clear_target(targets[0], marks))
    ):
        proposals.insert(0, _suggest_marked_labels(inputs, marks))
    if pair is not None:
        is_text = {pair["target_column"], pair["text_columns"][0]} <= set(texts)
        has_label = is_spoken_pair(pair) and targets and _is_clear_target(targets[0], marks)
        is_first = is_certain_pair(pair, columns) or (is_text and not has_label) or not proposals
        proposals.insert(0 if is_first else 1, pair)
    return proposals[:MAX_PROPOSALS] or [_suggest_nothing(columns, texts, targets)]


def _rank_uses(
    columns: list[ColumnProfile],
    texts: list[str],
    targets: list[Target],
    rows: int,
    probe: Probe | None,
) -> list[_Use]:
    uses = [
        use
        for target in targets[:MAX_TARGETS]
        for use in _uses_of_target(columns, texts, target, rows)
    ]
    uses.sort(key=lambda use: -use.score)
    is_close = len(uses) > 1 and uses[0].score - uses[1].score < CLEAR_LEAD
    name_score = column_names.target_name_score(uses[0].target.name) if uses else MIN_TELLING_NAME
    is_unnamed = name_score < MIN_TELLING_NAME
    if probe is not None and (is_close or is_unnamed):
        uses = [_measure(use, probe) for use in uses]
        uses.sort(key=lambda use: -use.score)
        if _has_no_evidence(uses[0]):
            others = column_roles.list_unmarked_numbers(columns, targets, rows)
            more = [
                use for number in others for use in _uses_of_target(columns, texts, number, rows)
            ]
            uses += [_measure(use, probe) for use in more]
            uses.sort(key=lambda use: -use.score)
    return uses


def _uses_of_target(
    columns: list[ColumnProfile], texts: list[str], target: Target, rows: int
) -> list[_Use]:
    """The uses of a target: learnt from texts, from the other columns, or both as two uses."""
    others = [column for column in columns if column["name"] != target.name]
    inputs = [column for column in others if column["name"] in texts]
    inputs = _leave_out_late_texts(inputs, target, columns) or inputs
    different = math.prod(column["unique"] for column in inputs)
    if different <= target.column["unique"] and not target.is_quantity(of_texts=True):
        # With one text for each label the texts are categories, and none is left for a test.
        texts, inputs = [], []
    features = [
        column for column in column_roles.find_features(others, rows) if column["name"] not in texts
    ]
    is_prose = any(column_roles.is_prose(column, rows) for column in inputs)
    uses = []
    if inputs:
        bonus = PROSE_BONUS if is_prose or len(features) < FEW_FEATURES else 0.0
        names = [column["name"] for column in inputs]
        if not column_names.target_name_score(target.name):
            bonus -= UNNAMED_PENALTY
        if column_names.is_judgement_name(target.name) and any(
            map(column_names.is_review_name, names)
        ):
            bonus += JUDGEMENT_BONUS
        uses.append(_Use(target, names, inputs, target.score + bonus))
    if features:
        bonus = TABLE_BONUS if len(features) >= FEW_FEATURES else 0.0
        if column_names.is_sorting_name(target.name) and target.column is not columns[-1]:
            bonus -= SORTING_PENALTY
        score = target.score + bonus
        uses.append(_Use(target, [], features, score, is_beside_prose=is_prose))
    elif not inputs and len(others) > 0:
        lone = column_roles.find_lone_texts(others, rows)
        names = [column["name"] for column in lone]
        uses.append(_Use(target, names, lone or others, target.score))
    return uses


def _leave_out_late_texts(
    texts: list[ColumnProfile], target: Target, columns: list[ColumnProfile]
) -> list[ColumnProfile]:
    """The texts that are there before the target is known. A grade is given to an answer, which is
    kept then, but at a help desk, where customers rate what is answered to them."""
    grades_answers = column_names.is_grade_name(
        target.name
    ) and not column_names.come_from_help_desk([column["name"] for column in columns])
    return [
        column
        for column in texts
        if not column_names.is_late_text_name(column["name"])
        or (grades_answers and column_names.is_answer_name(column["name"]))
    ]


def _measure(use: _Use, probe: Probe) -> _Use:
    skill = probe.skill(use.inputs, use.texts, use.target.column)
    if skill is None:
        return use
    # A target that other columns predict without error repeats them, as a code does its name, or
    # was computed from them, such as a label from votes.
    is_named = column_names.target_name_score(use.target.name) >= CLEAR_TARGET_SCORE
    is_meant = is_named and not use.is_beside_prose
    is_copy = skill > ALL_SKILL and not use.texts and not is_meant
    gain = -1.0 if skill < NO_SKILL or is_copy else SKILL_WEIGHT * skill
    return replace(use, score=use.score + gain, skill=skill)


def _has_no_evidence(use: _Use) -> bool:
    """Whether neither the target's name nor the measured skill suggests this use."""
    name_score = column_names.target_name_score(use.target.name)
    return not name_score and use.skill is not None and use.skill < NO_SKILL


def _describe(use: _Use, rows: int) -> Suggestion:
    target, of_texts = use.target, bool(use.texts)
    is_quantity = target.is_quantity(of_texts=of_texts)
    family = "text" if of_texts else "tabular"
    task = f"{family}-{'regression' if is_quantity else 'classification'}"
    why = f"{_describe_inputs(use)} {_describe_target(target, rows, is_quantity)}"
    if target.evidence:
        why += f": {' and '.join(target.evidence)}"
    why += "."
    if use.skill is not None and use.skill >= MIN_TOLD_SKILL:
        source = "the text tells" if of_texts else "the other columns tell"
        why += f" A quick look says that {source} it ({use.skill:.0%} better than a guess)."
    return build_suggestion(task, use.texts, target.name, why)


def _describe_inputs(use: _Use) -> str:
    if use.texts:
        return f"{' and '.join(use.texts)} {'are' if len(use.texts) > 1 else 'is'} free text;"
    count = len(use.inputs)
    return f"{count:,} other column{' describes' if count == 1 else 's describe'} each row;"


def _describe_target(target: Target, rows: int, is_quantity: bool) -> str:
    if is_quantity:
        return f"{target.name} is a number to estimate"
    if "cell_labels" in target.column:
        labels = target.column["cell_labels"]
        return f"{target.name} holds lists of {'1 label' if labels == 1 else f'{labels:,} labels'}"
    filled = rows - target.column["missing"]
    return f"{target.name} repeats {target.column['unique']:,} values over {filled:,} rows"


def _suggest_nothing(
    columns: list[ColumnProfile], texts: list[str], targets: list[Target]
) -> Suggestion:
    if len(columns) == 1:
        return build_suggestion("tabular-classification", [], None, "There is only one column.")
    # A column named label is suggested even where it cannot be learnt, so that the reason is shown.
    labelled = next(
        (column for column in columns if texts and _is_clearly_named(column, texts)), None
    )
    if labelled is not None:
        texts = [name for name in texts if name != labelled["name"]]
        why = f"{labelled['name']} is the label by its name."
        return build_suggestion("text-classification", texts, labelled["name"], why)
    if pair := suggest_pair_of_texts(texts):
        return pair
    why = "No column repeats few enough values to be a label. Choose the target yourself."
    task = "text-classification" if texts else "tabular-classification"
    return build_suggestion(task, texts, None, why)


def _is_clearly_named(column: ColumnProfile, texts: list[str]) -> bool:
    name_score = column_names.target_name_score(column["name"])
    is_possible = column["type"] in ("text", "integer", "boolean", "json") and column["unique"] > 0
    is_label = is_possible and not column_roles.tags_words(column)
    return name_score >= CLEAR_TARGET_SCORE and is_label and column["name"] not in texts


def _suggest_image_task(
    image: ColumnProfile, columns: list[ColumnProfile], rows: int
) -> Suggestion:
    """The suggestion to learn the column `label` from images, with the column `split` if there is
    one: the import of an archive names them so."""
    by_name = {column["name"]: column for column in columns}
    label, split = by_name.get("label"), by_name.get("split")
    why = "The column holds pictures. Choose what they should be told apart by."
    if label:
        why = f"Each picture has one label. Pictures: {rows:,}, labels: {label['unique']:,}."
        if split:
            why += " The split comes from the archive."
    suggestion = build_suggestion("image-classification", [], label["name"] if label else None, why)
    suggestion["image_column"] = image["name"]
    suggestion["split_column"] = split["name"] if split and not split["missing"] else None
    return suggestion


def _find_marks(columns: list[ColumnProfile]) -> list[str]:
    """The columns that only say yes or no, in the way in which most of them do: False beside 1 and
    0 says something about the row, as whether its labels are clear."""
    found = [column for column in columns if _holds_marks(column)]
    usual = Counter(column["type"] for column in found).most_common(1)
    return [column["name"] for column in found if column["type"] == usual[0][0]]


def _holds_marks(column: ColumnProfile) -> bool:
    """Whether cells are only words for yes or no, so that the column may be one label."""
    cells = [*column["examples"], *(entry["value"] for entry in column["top_values"])]
    words = {word.strip().casefold() for word in cells}
    if not words or words - PRESENT_WORDS - ABSENT_WORDS or column["unique"] > 2:
        return False
    return column["unique"] == 2 or (column["missing"] > 0 and words <= PRESENT_WORDS)


def _are_adjacent(marks: list[str], columns: list[ColumnProfile]) -> bool:
    """Whether there are several such columns, side by side. Scattered ones are features."""
    places = [place for place, column in enumerate(columns) if column["name"] in marks]
    return len(places) > 1 and places[-1] - places[0] == len(places) - 1


def _is_clear_target(target: Target, marks: list[str]) -> bool:
    """Whether the target's name is so clearly that of a label that marks beside it are none."""
    name_score = column_names.target_name_score(target.name)
    return target.name not in marks and name_score >= CLEAR_TARGET_SCORE


def _suggest_marked_labels(texts: list[str], marks: list[str]) -> Suggestion:
    listed = ", ".join(marks[:4]) + (" …" if len(marks) > 4 else "")
    why = (
        f"{' and '.join(texts)} is free text; {len(marks)} columns ({listed}) say yes or no, so"
        " each is read as one label."
    )
    suggestion = build_suggestion("text-classification", texts, None, why)
    suggestion["target_columns"] = marks
    return suggestion
