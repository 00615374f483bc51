"""Turns the rows of a dataset version into answers and phrasings."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import person_behind
from assistants.answering.language import detect_language
from assistants.errors import NothingToLearn, UnknownColumn
from assistants.knowledge.phrasings import hash_text
from assistants.models import Answer, Assistant, Phrasing, Source
from projects.errors import DatasetNotReady
from projects.models import Dataset, DatasetVersion, ImportStatus
from projects.queries.preview import load_columns

MAX_ROWS = 100_000
MAX_PHRASING_CHARS, MAX_KEY_CHARS = 2_000, 200


@dataclass(frozen=True)
class Mapping:
    """Which columns hold what. Without an answer column the key is the answer's text."""

    question_column: str
    answer_key_column: str
    answer_column: str = ""

    @property
    def columns(self) -> list[str]:
        named = (self.question_column, self.answer_key_column, self.answer_column)
        return [name for name in named if name]


@dataclass(frozen=True)
class Row:
    question: str
    key: str
    text: str


def add_source(
    assistant: Assistant,
    dataset: Dataset,
    mapping: Mapping,
    by: User | ApiToken,
    *,
    is_approved: bool = True,
) -> Source:
    """Read the newest version of a dataset. Whoever imports approves, unless told otherwise.

    Answers that exist keep their text and state; known phrasings are passed over. Raises
    DatasetNotReady, UnknownColumn or NothingToLearn, and then nothing is kept.
    """
    version = dataset.latest
    if version is None or version.status != ImportStatus.READY:
        raise DatasetNotReady(
            "This dataset is not ready. Wait until it is imported, then add it.", param="dataset"
        )
    rows, skipped = _read_rows(version, mapping)
    with transaction.atomic():
        Assistant.objects.select_for_update().get(pk=assistant.pk)
        answers = _ensure_answers(assistant, rows, by if is_approved else None)
        phrasings = _add_phrasings(answers, rows)
        source = Source.objects.create(
            assistant=assistant,
            dataset_version=version,
            mapping=vars(mapping),
            answers=len(answers),
            phrasings=phrasings,
            skipped_rows=skipped,
            created_by=person_behind(by),
        )
        audit.record(
            assistant.team, by, "assistant.source-added", assistant.name, dataset=str(version)
        )
    return source


def _read_rows(version: DatasetVersion, mapping: Mapping) -> tuple[list[Row], int]:
    known = [column["name"] for column in version.columns]
    for name in mapping.columns:
        if name not in known:
            raise UnknownColumn(
                f"This dataset has no column {name!r}. It has: {', '.join(known)}.",
                param=next(key for key, value in vars(mapping).items() if value == name),
            )
    cells = load_columns(version, mapping.columns, MAX_ROWS)
    rows = []
    for question, key, *text in cells:
        row = Row(_clean(question), _clean(key)[:MAX_KEY_CHARS], _clean(text[0]) if text else "")
        if row.question and row.key and len(row.question) <= MAX_PHRASING_CHARS:
            rows.append(row)
    if not rows:
        raise NothingToLearn
    return rows, len(cells) - len(rows)


def _clean(cell: str | None) -> str:
    return (cell or "").replace("\x00", "").strip()


def _ensure_answers(
    assistant: Assistant, rows: Iterable[Row], by: User | ApiToken | None
) -> dict[str, Answer]:
    texts: dict[str, Row] = {}
    for row in rows:
        if row.key not in texts or (row.text and not texts[row.key].text):
            texts[row.key] = row
    existing = {answer.key: answer for answer in assistant.answers.filter(key__in=texts)}
    moment = now() if by else None
    new = [
        Answer(
            assistant=assistant,
            key=key,
            text=row.text or key,
            language=detect_language(row.question, assistant.languages),
            state=Answer.State.APPROVED if by else Answer.State.DRAFT,
            approved_by=person_behind(by) if by else None,
            approved_at=moment,
        )
        for key, row in texts.items()
        if key not in existing
    ]
    return existing | {answer.key: answer for answer in Answer.objects.bulk_create(new)}


def _add_phrasings(answers: dict[str, Answer], rows: Iterable[Row]) -> int:
    """How many were new; a repeated text of one answer is one phrasing."""
    before = Phrasing.objects.filter(answer__in=answers.values()).count()
    Phrasing.objects.bulk_create(
        [
            Phrasing(
                answer=answers[row.key],
                text=row.question,
                text_hash=hash_text(row.question),
                language=answers[row.key].language,
                origin=Phrasing.Origin.IMPORT,
            )
            for row in rows
        ],
        ignore_conflicts=True,
        batch_size=2_000,
    )
    return Phrasing.objects.filter(answer__in=answers.values()).count() - before
