"""How many questions nobody could answer, as the random audit counts them."""

from dataclasses import dataclass

from django.db.models import Count, Q

from assistants.models import Assistant, Judgement

MIN_AUDITED = 200  # Before the audit's figure takes the place of the assumed one.
LOOKED_BACK = 2_000  # The newest: what customers ask changes.
LOWEST, HIGHEST = 0.01, 0.9  # As the assistant's own setting.


@dataclass(frozen=True)
class OutOfScope:
    """A share of all questions; `audited` is 0 where it is assumed."""

    share: float
    audited: int


def out_of_scope_of(assistant: Assistant) -> OutOfScope:
    """What the next version is measured with: the audit's share once it is known, else the one
    that the team assumed."""
    newest = Judgement.objects.filter(
        is_audit=True, decision__message__channel__assistant=assistant
    ).order_by("-at")[:LOOKED_BACK]
    counts = Judgement.objects.filter(pk__in=newest.values("pk")).aggregate(
        audited=Count("pk"),
        nobody=Count("pk", filter=Q(verdict=Judgement.Verdict.OUT_OF_SCOPE)),
    )
    if counts["audited"] < MIN_AUDITED:
        return OutOfScope(assistant.out_of_scope_share, 0)
    share = min(HIGHEST, max(LOWEST, counts["nobody"] / counts["audited"]))
    return OutOfScope(share, counts["audited"])
