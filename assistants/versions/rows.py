"""What a version learns, frozen: the rows of the next dataset version, and which corrections they
hold."""

import csv
import io
from collections.abc import Iterable

from django.db import transaction

from assistants.knowledge.phrasings import hash_text, taught_phrasings
from assistants.models import Assistant, Judgement, Phrasing, Version
from engine.answering.encoders import with_prefix
from projects import storage
from projects.importing.uploads import receive_upload
from projects.models import Dataset, DatasetVersion

COLUMNS = ("question", "answer", "language", "origin")


def frozen_phrasings(version: Version) -> list[Phrasing]:
    """What the version learns: what stands in its rows, and was not taken away since."""
    taught = taught_phrasings(version.assistant)
    if version.dataset_version is None:
        return list(taught)
    with storage.open_file(version.dataset_version.upload_key) as file:
        rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        held = {(row["question"], row["answer"]) for row in rows}
    return [phrasing for phrasing in taught if _as_row(version, phrasing)[:2] in held]


def _as_row(version: Version, phrasing: Phrasing) -> tuple[str, str, str, str]:
    text = with_prefix(version.encoder, phrasing.text)
    return text, phrasing.answer.key, phrasing.language, phrasing.origin


def export_rows(version: Version) -> DatasetVersion:
    """Freeze what the version learns as the next version of the assistant's own dataset, and keep
    which corrections it used first. Raises UserError where the dataset may not grow."""
    assistant = version.assistant
    phrasings = list(taught_phrasings(assistant))
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(COLUMNS)
    writer.writerows(_as_row(version, phrasing) for phrasing in phrasings)
    name = f"Questions of {assistant.name}"
    dataset = Dataset.objects.filter(project=assistant.project, name=name, archived_at=None).first()
    data = receive_upload(
        project=assistant.project,
        filename=f"{assistant.name}-questions.csv",
        chunks=[sink.getvalue().encode()],
        by=version.created_by,
        name=name,
        dataset=dataset,
    ).version
    with transaction.atomic():
        version.dataset_version = data
        version.save(update_fields=["dataset_version"])
        _mark_used(assistant, phrasings, data)
    return data


def _mark_used(assistant: Assistant, phrasings: Iterable[Phrasing], data: DatasetVersion) -> None:
    """The first rows that hold a correction are those that used it."""
    held = {(phrasing.answer_id, phrasing.text_hash) for phrasing in phrasings}
    taught = Judgement.objects.taught(assistant).filter(used_in=None)
    used = [
        judgement.pk
        for judgement in taught.select_related("decision__message")
        if (judgement.answer_id, hash_text(judgement.decision.question)) in held
    ]
    Judgement.objects.filter(pk__in=used).update(used_in=data)
