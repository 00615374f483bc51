"""Questions about passages as SQuAD nests them: articles, their paragraphs, and the questions about
each. A row for each question, with its passage and its answer."""

from collections.abc import Iterator
from typing import Any

from projects.reading.json.annotations import Row
from projects.reading.json.exports import QUESTIONS, is_paragraph

PARAGRAPHS = "paragraphs"


def find_questions(document: object) -> tuple[list[object], list[str]] | None:
    """The rows of a SQuAD document and notes about them; None where it is something else."""
    articles = document.get("data") if isinstance(document, dict) else document
    if not isinstance(articles, list) or not articles or not all(map(_is_article, articles)):
        return None
    rows = [row for article in articles for row in _rows_of_article(article)]
    if not rows:
        return None
    notes = [
        f"A row was made of each question in {QUESTIONS!r}, with its passage and its answer, as in"
        " SQuAD."
    ]
    several = sum(len(row.pop("answers")) > 1 for row in rows)  # type: ignore[arg-type]
    if several:
        notes.append(f"Questions with several answers: {several:,}. The first of each was kept.")
    if empty := sum(row["answer"] is None for row in rows):
        notes.append(
            f"Questions that their passage does not answer: {empty:,}. Those cells are empty."
        )
    return list(rows), notes


def _is_article(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    paragraphs = value.get(PARAGRAPHS)
    if isinstance(paragraphs, list):
        return all(map(is_paragraph, paragraphs))
    return is_paragraph(value)


def _rows_of_article(article: Row) -> Iterator[Row]:
    paragraphs = article.get(PARAGRAPHS)
    passages: list[Any] = paragraphs if isinstance(paragraphs, list) else [article]
    for paragraph in passages:
        for question in paragraph[QUESTIONS]:
            answers = _different_answers(question.get("answers") or question.get("answer"))
            row: Row = {"id": question.get("id", question.get("qid"))}
            if "title" in article:
                row["title"] = article["title"]
            row |= {"context": paragraph["context"], "question": question["question"]}
            has_answer = answers and not question.get("is_impossible")
            yield row | {"answer": answers[0] if has_answer else None, "answers": answers}


def _different_answers(answers: object) -> list[str]:
    """The different texts of [{"text": "Rome", "answer_start": 3}], of ["Rome"], or of one such
    answer without a list."""
    listed = answers if isinstance(answers, list) else [answers]
    texts = [answer.get("text") if isinstance(answer, dict) else answer for answer in listed]
    return list(dict.fromkeys(text for text in texts if isinstance(text, str) and text.strip()))
