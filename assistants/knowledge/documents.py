"""Turns the rows of an imported document into passages."""

import hashlib

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import person_behind
from assistants.answering.language import detect_language
from assistants.errors import NothingToLearn, SourceRetired, UnknownColumn
from assistants.models import Assistant, Passage, Source
from projects.errors import DatasetNotReady
from projects.models import Dataset, DatasetVersion, ImportStatus
from projects.queries.preview import load_columns

MAX_PASSAGES = 20_000
MAX_PASSAGE_CHARS, MAX_HEADING_CHARS = 4_000, 500
TEXT_COLUMN, HEADING_COLUMN = "text", "heading"  # As projects.reading.documents writes them.


def add_document(
    assistant: Assistant,
    dataset: Dataset,
    by: User | ApiToken,
    *,
    text_column: str = TEXT_COLUMN,
    heading_column: str = "",
) -> Source:
    """Read the newest version of a dataset whose rows are passages, such as an imported document.

    Raises DatasetNotReady, UnknownColumn or NothingToLearn, and then nothing is kept.
    """
    version = dataset.latest
    if version is None or version.status != ImportStatus.READY:
        raise DatasetNotReady(
            "This dataset is not ready. Wait until it is imported, then add it.", param="dataset"
        )
    columns = _choose_columns(version, text_column, heading_column)
    cells = load_columns(version, [name for name in columns.values() if name], MAX_PASSAGES)
    passages = _read_passages(assistant, cells)
    if not passages:
        raise NothingToLearn(f"No row of this dataset has a text in {text_column!r}.")
    with transaction.atomic():
        source = Source.objects.create(
            assistant=assistant,
            dataset_version=version,
            mapping=columns,
            passages=len(passages),
            skipped_rows=len(cells) - len(passages),
            created_by=person_behind(by),
        )
        for passage in passages:
            passage.source = source
        Passage.objects.bulk_create(passages, batch_size=2_000)
        audit.record(
            assistant.team, by, "assistant.document-added", assistant.name, dataset=str(version)
        )
    return source


def _choose_columns(version: DatasetVersion, text: str, heading: str) -> dict[str, str]:
    """The mapping of the source. Raises UnknownColumn."""
    known = [column["name"] for column in version.columns]
    if not heading and HEADING_COLUMN in known:
        heading = HEADING_COLUMN
    columns = {"text_column": text, "heading_column": heading}
    for param, name in columns.items():
        if name and name not in known:
            raise UnknownColumn(
                f"This dataset has no column {name!r}. It has: {', '.join(known)}.", param=param
            )
    return columns


def _read_passages(assistant: Assistant, cells: list[tuple[str | None, ...]]) -> list[Passage]:
    """Each once, in their order."""
    passages: dict[str, Passage] = {}
    for position, (text, *heading) in enumerate(cells):
        words = (text or "").replace("\x00", "").strip()[:MAX_PASSAGE_CHARS]
        title = ((heading[0] if heading else "") or "").strip()[:MAX_HEADING_CHARS]
        digest = hashlib.sha256(f"{title}\0{words}".encode()).hexdigest()
        if words and digest not in passages:
            passages[digest] = Passage(
                position=position,
                heading=title,
                text=words,
                language=detect_language(words, assistant.languages),
                sha256=digest,
            )
    return list(passages.values())


def retire_source(source: Source, by: User | ApiToken) -> None:
    """Quote its passages no more, at once. Raises SourceRetired."""
    rows = Source.objects.filter(pk=source.pk, retired_at=None)
    if not rows.update(retired_at=now()):
        raise SourceRetired
    assistant = source.assistant
    audit.record(assistant.team, by, "assistant.source-retired", assistant.name, source=source.pk)
    source.refresh_from_db()
