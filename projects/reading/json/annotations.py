"""Converts answers of people in labelling tools, Argilla and Labelbox, into rows: the fields of a
record, and one column for each question. Of several annotators the majority counts."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable

Row = dict[str, object]
Answers = dict[str, list[object]]  # Of the annotators, by question.
DONE = (None, "submitted", "completed")
ARGILLA_PARTS = (
    "fields",
    "responses",
    "suggestions",
    "vectors",
    "_server_id",
    "status",
    "metadata",
)


class Disagreement(ValueError):
    """Annotators gave different answers, none of them more often than all others."""


def is_argilla(row: Row) -> bool:
    """A record of Argilla 1 or 2, with the answers of its annotators."""
    return isinstance(row.get("fields"), dict) and isinstance(row.get("responses"), dict | list)


def row_of_argilla(row: Row) -> Row:
    fields, metadata = row["fields"], row.get("metadata")
    assert isinstance(fields, dict)
    plain = {name: value for name, value in row.items() if name not in ARGILLA_PARTS}
    return {
        **plain, **(metadata if isinstance(metadata, dict) else {}), **fields,
        **_decide(_argilla_answers(row)),
    }  # fmt: skip


def _argilla_answers(row: Row) -> Answers:
    """Version 2 keeps a list of answers for each question, version 1 a list of annotators."""
    answers: Answers = defaultdict(list)
    responses = row.get("responses")
    if isinstance(responses, dict):
        for question, given in responses.items():
            for one in _objects(given):
                if "value" in one and one.get("status") in DONE:
                    answers[question].append(one["value"])
    for one in _objects(responses):
        values = one.get("values")
        if isinstance(values, dict) and one.get("status") in DONE:
            for question, value in values.items():
                answers[question].append(value.get("value") if isinstance(value, dict) else value)
    return answers


def is_labelbox(row: Row) -> bool:
    return isinstance(row.get("data_row"), dict) and isinstance(row.get("projects"), dict)


def row_of_labelbox(row: Row) -> Row:
    data, answers = row["data_row"], defaultdict[str, list[object]](list)
    assert isinstance(data, dict)
    for annotations in _labelbox_annotations(row):
        for one in _objects(annotations.get("classifications")):
            answers[str(one.get("name"))].append(_labelbox_answer(one))
        if places := _objects(annotations.get("objects")):
            answers["objects"].append(places)
    return {"id": data.get("id"), "text": data.get("row_data"), **_decide(answers)}


def _labelbox_annotations(row: Row) -> Iterable[Row]:
    projects = row["projects"]
    assert isinstance(projects, dict)
    for project in projects.values():
        for label in _objects(project.get("labels") if isinstance(project, dict) else None):
            if isinstance(annotations := label.get("annotations"), dict):
                yield annotations


def _labelbox_answer(classification: Row) -> object:
    radio, text = classification.get("radio_answer"), classification.get("text_answer")
    if isinstance(radio, dict):
        return radio.get("name")
    if isinstance(text, dict):
        return text.get("content")
    return [one.get("name") for one in _objects(classification.get("checklist_answers"))]


def _decide(answers: Answers) -> Row:
    """The answer of most annotators to each question. Raises Disagreement."""
    decided: Row = {}
    for question, values in answers.items():
        counts = Counter(json.dumps(value, sort_keys=True) for value in values)
        (first, times), *others = counts.most_common(2)
        if others and others[0][1] == times:
            raise Disagreement(
                f"Annotators disagree about {question!r}: {first[:60]}, {others[0][0][:60]}."
            )
        decided[question] = json.loads(first)
    return decided


def _objects(value: object) -> list[Row]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
