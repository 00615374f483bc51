"""Writes, approves, corrects and retires answers."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import person_behind
from assistants.errors import StateOfAnswer
from assistants.models import Answer, Assistant


@transaction.atomic
def write_answer(
    assistant: Assistant, key: str, text: str, language: str, by: User | ApiToken
) -> Answer:
    """A draft. Raises StateOfAnswer when the key is taken."""
    try:
        with transaction.atomic():
            answer = Answer.objects.create(
                assistant=assistant, key=key, text=text, language=language
            )
    except IntegrityError:
        raise StateOfAnswer("An answer with this key exists. Edit that one.", param="key") from None
    audit.record(assistant.team, by, "answer.written", key)
    return answer


@transaction.atomic
def approve(answer: Answer, by: User | ApiToken) -> None:
    """Let it be shown, word for word. Raises StateOfAnswer unless it is a draft or retired."""
    fields = {"state": Answer.State.APPROVED, "approved_by": person_behind(by)}
    rows = Answer.objects.filter(pk=answer.pk).exclude(state=Answer.State.APPROVED)
    if not rows.update(**fields, approved_at=now()):
        raise StateOfAnswer
    audit.record(answer.assistant.team, by, "answer.approved", answer.key)
    answer.refresh_from_db()


@transaction.atomic
def edit(
    answer: Answer,
    by: User | ApiToken,
    *,
    text: str,
    link: str = "",
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
) -> None:
    """Change what is said from now on. Who edits an approved answer approves the new text."""
    locked = Answer.objects.select_for_update().get(pk=answer.pk)
    locked.text, locked.link = text, link
    locked.valid_from, locked.valid_until = valid_from, valid_until
    if locked.state == Answer.State.APPROVED:
        locked.approved_by, locked.approved_at = person_behind(by), now()
    locked.save()
    audit.record(locked.assistant.team, by, "answer.edited", locked.key)
    answer.refresh_from_db()


@transaction.atomic
def retire(answer: Answer, by: User | ApiToken) -> None:
    """Say it no more, at once. Raises StateOfAnswer when it is retired."""
    rows = Answer.objects.filter(pk=answer.pk).exclude(state=Answer.State.RETIRED)
    if not rows.update(state=Answer.State.RETIRED):
        raise StateOfAnswer
    audit.record(answer.assistant.team, by, "answer.retired", answer.key)
    answer.refresh_from_db()
