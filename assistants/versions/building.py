"""Builds versions: freezes the knowledge, measures it in a child process, stores the index."""

import logging
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.notifications.publish import publish as publish_notice
from accounts.permissions import person_behind
from assistants.errors import (
    BuildingAlready,
    NothingToLearn,
    RefusedByGate,
)
from assistants.knowledge.phrasings import taught_phrasings
from assistants.models import (
    Assistant,
    Judgement,
    Passage,
    Phrasing,
    Rule,
    Version,
    VersionStatus,
)
from assistants.review.audited_share import out_of_scope_of
from assistants.versions import gate
from assistants.versions.passages import as_order, current_passages
from assistants.versions.rows import export_rows, frozen_phrasings
from assistants.versions.storing import Measured, read_measured, refresh_statistics, store
from assistants.writing.writers import freeze
from engine.answering.order import (
    JudgedQuestion,
    MeasuringOrder,
    OrderPhrasing,
)
from engine.encoder_precision import EncoderPrecision
from projects import storage
from web import child_process
from web.enqueue import enqueue_on_commit
from web.errors import UserError
from web.row_queue import claim_rows, update_claimed
from web.sse import notify

logger = logging.getLogger(__name__)

CLAIM = timedelta(minutes=10)
MAX_SECONDS = 540.0
MAX_ATTEMPTS = 3
MAX_JUDGED = 20_000
FAILURE = "Measuring this version failed on our side. It has been logged; build it again."


@transaction.atomic
def create_version(
    assistant: Assistant,
    by: User | ApiToken,
    *,
    publish_when_measured: bool = False,
    train_classifier: bool = False,
) -> Version:
    """A version in status building, whose measuring is sent to a worker.

    `train_classifier`: first an ordinary job trains its classifier on the assistant's own rows;
    else measuring fits an equal one.

    Raises NothingToLearn without an approved answer with a phrasing, or BuildingAlready.
    """
    # As it is now: what is frozen may have been changed a moment ago.
    assistant = Assistant.objects.select_for_update().get(pk=assistant.pk)
    if not taught_phrasings(assistant).exists():
        raise NothingToLearn("Approve at least one answer that has a phrasing, then build.")
    last = assistant.versions.order_by("-number").values_list("number", flat=True).first() or 0
    rules = Rule.objects.filter(assistant=assistant, enabled=True)
    out_of_scope = out_of_scope_of(assistant)
    try:
        with transaction.atomic():
            version = Version.objects.create(
                assistant=assistant,
                number=last + 1,
                encoder=assistant.encoder,
                promise=assistant.promise,
                out_of_scope_share=out_of_scope.share,
                share_audited=out_of_scope.audited,
                rules=list(rules.values("name", "when", "then")),
                writer=freeze(assistant),
                created_by=person_behind(by),
                publish_when_measured=publish_when_measured,
                awaits_classifier=train_classifier,
            )
    except IntegrityError:
        raise BuildingAlready from None
    audit.record(assistant.team, by, "assistant.version-built", str(version))
    enqueue_on_commit("assistants.tasks.build_versions")
    return version


def build_pending() -> int:
    """Measure every version that waits, one after the other; how many ended."""
    ended = 0
    while True:
        due = Version.objects.filter(
            Q(claimed_until=None) | Q(claimed_until__lt=now()),
            status=VersionStatus.BUILDING,
            awaits_classifier=False,
        ).order_by("created_at")
        claimed = claim_rows(due, limit=1, claimed_until=now() + CLAIM)
        if not claimed:
            return ended
        build(claimed[0])
        ended += 1


def build(version: Version) -> None:
    """Measure a claimed version; it ends as measured or failed, with a sentence."""
    if version.attempts > MAX_ATTEMPTS:
        _fail(version, FAILURE)
        return
    if version.dataset_version is None:
        _export(version)
    phrasings = frozen_phrasings(version)
    passages = current_passages(version.assistant)
    measured = _measure(version, phrasings, passages)
    if measured is None:
        return
    store(version, phrasings, passages, measured)
    refresh_statistics()
    if version.publish_when_measured and version.status == VersionStatus.MEASURED:
        assert version.created_by is not None
        try:
            gate.publish(version, version.created_by)
        except RefusedByGate as refusal:
            sentence = f"{version} is built and does not go live: {refusal.sentence}"
            with transaction.atomic():
                _publish(version, "assistant.version_refused", sentence)


def _measure(
    version: Version, phrasings: list[Phrasing], passages: list[Passage]
) -> Measured | None:
    """What a child measures; None where the version failed, or is to be measured again because
    something killed the child, as the end of its worker does."""
    with tempfile.TemporaryDirectory(prefix="measure-") as name:
        folder = Path(name)
        order = _write_order(version, phrasings)
        order.passages = [as_order(passage) for passage in passages]
        if version.classifier is not None:
            storage.fetch_folder(version.classifier.artifact_key, folder / "classifier")
            order.classifier_folder = "classifier"
        (folder / "order.json").write_text(order.model_dump_json())
        finished = child_process.run(
            [sys.executable, "-m", "engine.answering", "measure", str(folder)],
            cwd=settings.BASE_DIR,
            seconds=MAX_SECONDS,
            restarts=1,
        )
        if finished.returncode is not None and finished.returncode < 0:
            logger.warning("Measuring version %s was killed and begins again", version.pk)
            update_claimed(version, claimed_until=None)
            return None
        if finished.returncode != 0:
            logger.error("Measuring version %s failed: %s", version.pk, finished.stderr[-4_000:])
            late = "Measuring took too long. Use fewer phrasings for each answer."
            _fail(version, late if finished.returncode is None else FAILURE)
            return None
        return read_measured(folder)


def _export(version: Version) -> None:
    """Without rows of its own, too, it can be measured; it then says why it has none."""
    try:
        export_rows(version)
    except UserError as refusal:
        version.classifier_note = version.classifier_note or refusal.sentence
        version.save(update_fields=["classifier_note"])


def _publish(version: Version, event: str, sentence: str) -> None:
    """Somebody must look."""
    publish_notice(
        version.assistant.team,
        event,
        sentence,
        url=f"/assistants/{version.assistant_id}/",
        data={"assistant": str(version.assistant_id), "version": version.number},
    )


def _write_order(version: Version, phrasings: list[Phrasing]) -> MeasuringOrder:
    return MeasuringOrder(
        phrasings=[
            OrderPhrasing(
                text=phrasing.text,
                answer=phrasing.answer.key,
                language=phrasing.language,
                is_suggested=phrasing.origin == Phrasing.Origin.SUGGESTED,
            )
            for phrasing in phrasings
        ],
        judged=list(_judged_questions(version.assistant)),
        promise=version.promise,
        out_of_scope_share=version.out_of_scope_share,
        encoder=version.encoder,
        precision=cast(EncoderPrecision, version.encoder_precision),
    )


def _judged_questions(assistant: Assistant) -> Iterator[JudgedQuestion]:
    """Questions of the random audit only: corrections are biased to errors."""
    rows = Judgement.objects.filter(
        is_audit=True, decision__message__channel__assistant=assistant
    ).select_related("decision__message", "answer")
    for row in rows.order_by("-at")[:MAX_JUDGED]:
        key = row.answer.key if row.answer else None
        if key is None and row.verdict == Judgement.Verdict.RIGHT:
            key = row.decision.answer_key or None
        if key is None and row.verdict != Judgement.Verdict.OUT_OF_SCOPE:
            continue  # Wrong, but nobody said what would be right.
        yield JudgedQuestion(text=row.decision.question, answer=key, language=row.decision.language)


def _fail(version: Version, sentence: str) -> None:
    with transaction.atomic():
        version.transition(VersionStatus.FAILED, failure_sentence=sentence, claimed_until=None)
        _publish(version, "assistant.version_failed", f"{version} failed. {sentence}")
    notify(f"assistant:{version.assistant_id}")
