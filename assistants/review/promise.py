"""What follows where the audit shows that the promise is not kept."""

from django.utils.timezone import now

from accounts.notifications.publish import publish
from assistants.models import Assistant, Decision, Judgement, Version, VersionStatus
from engine.answering.bounds import wilson_interval
from web.sse import notify

MIN_JUDGED = 30  # Audited answers of a version, before its promise is called broken.


def check_promise(assistant: Assistant) -> None:
    """Let the live version ask back or refuse instead of answering while its audit, at 95 %
    confidence, stays below the promise; tell the team once."""
    version = Version.objects.filter(assistant=assistant, status=VersionStatus.LIVE).first()
    if version is None:
        return
    judged = Judgement.objects.filter(
        is_audit=True, decision__version=version, decision__route__in=Decision.ANSWERED
    )
    total = judged.count()
    right = judged.filter(verdict=Judgement.Verdict.RIGHT).count()
    is_broken = total >= MIN_JUDGED and wilson_interval(right, total)[1] < version.promise
    if is_broken == (version.promise_broken_at is not None):
        return
    Version.objects.filter(pk=version.pk).update(promise_broken_at=now() if is_broken else None)
    if is_broken:
        publish(
            assistant.team,
            "assistant.promise_broken",
            f"{version} answers {right / total:.0%} right in the audit, below its promise of"
            f" {version.promise:.0%}. It asks back until a version is better.",
            url=f"/assistants/{assistant.pk}/",
            data={"assistant": str(assistant.pk), "right": right, "judged": total},
        )
    notify(f"assistant:{assistant.pk}")
