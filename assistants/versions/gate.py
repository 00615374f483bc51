"""Publishes a version if it keeps the promise and breaks nothing that is locked; rolls back."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.notifications.publish import publish as publish_notice
from assistants.answering.reading import reader_of
from assistants.errors import InvalidRule, NothingToRollBackTo, RefusedByGate, StaleVersionState
from assistants.models import Assistant, Rule, Version, VersionStatus
from assistants.rules.examples import check_examples
from assistants.rules.specs import parse_rule
from assistants.versions.testing import run_tests
from assistants.writing.answering import write_answer
from assistants.writing.instructions import SAMPLE_QUESTION, SamplePassage
from assistants.writing.writers import settings_of, writer_of
from web.sse import notify

MAX_LOSS = 0.02  # Of the answered share against the live version, unless a person says why.


@dataclass(frozen=True)
class Verdict:
    """Why a version may not go live; empty reasons let it pass."""

    reasons: list[str]

    @property
    def passed(self) -> bool:
        return not self.reasons


def judge(version: Version, *, why_worse: str = "") -> Verdict:
    """Run the locked test cases and compare with promise and live version."""
    if version.status not in (VersionStatus.MEASURED, VersionStatus.RETIRED):
        return Verdict([f"Version {version.number} is {version.status}, not measured."])
    live = Version.objects.filter(assistant=version.assistant, status=VersionStatus.LIVE).first()
    reasons = _check_promise(version) + _check_rules(version) + _check_writer(version, live)
    run = run_tests(version)
    broken = [result for result in run.results if result["locked"] and not result["passed"]]
    reasons += [
        f"The locked question “{result['question']}” is broken: {result['got']}."
        for result in broken[:10]
    ]
    if live is not None and not why_worse:
        reasons += _check_losses(version, live)
    return Verdict(reasons)


def _check_promise(version: Version) -> list[str]:
    promised = _promised_languages(version)
    if not promised:
        first: dict[str, Any] = next(iter(version.report.values()), {})
        reason = first.get("reason") or "Nothing was measured."
        return [f"The promise of {version.promise:.0%} is not kept: {reason}"]
    return [
        f"In {language} the bound is {version.report[language]['point']['bound']:.1%}, below the"
        f" promise of {version.promise:.0%}."
        for language in promised
        if version.report[language]["point"]["bound"] < version.promise
    ]


def _promised_languages(version: Version) -> list[str]:
    """In which the version answers alone."""
    models = version.language_models.values_list("language", "calibrator")
    return sorted(language for language, fitted in models if fitted["answer"] is not None)


def _check_losses(version: Version, live: Version) -> list[str]:
    """In each language that the live version promised: another one does not make up for it."""
    promised = set(_promised_languages(version))
    reasons = []
    for language in _promised_languages(live):
        after = version.report[language]["point"]["answered"] if language in promised else 0.0
        lost = live.report[language]["point"]["answered"] - after
        if lost > MAX_LOSS:
            reasons.append(
                f"In {language} it answers {lost:.1%} fewer questions than the live version. Say"
                " why to go on."
            )
    return reasons


def _check_rules(version: Version) -> list[str]:
    reasons = []
    for rule in Rule.objects.filter(assistant=version.assistant, enabled=True):
        try:
            spec = parse_rule(rule.name, rule.when, rule.then)
            check_examples(spec, rule.examples_yes, rule.examples_no, reader_of(version))
        except InvalidRule as problem:
            reasons.append(f"Rule “{rule.name}”: {problem.sentence}")
    return reasons


def _check_writer(version: Version, live: Version | None) -> list[str]:
    """Try a new language model once: else customers would be the first to meet a wrong address,
    name or key."""
    writer = writer_of(version)
    if writer is None or not version.passages.exists():
        return []
    is_known = live is not None and settings_of(live).writes_like(writer.settings)
    if is_known or write_answer(writer, SAMPLE_QUESTION, [SamplePassage()]) is not None:
        return []
    return [
        f"The language model “{writer.settings.model}” that writes does not answer. Check its name,"
        " address and key under Settings, then build a version."
    ]


def publish(version: Version, by: User | ApiToken, *, why_worse: str = "") -> Verdict:
    """Let the version answer; a paused assistant stays paused. Raises RefusedByGate with every
    reason, or StaleVersionState."""
    verdict = judge(version, why_worse=why_worse)
    if not verdict.passed:
        raise RefusedByGate(" ".join(verdict.reasons))
    _go_live(version, by, "assistant.published", why_worse=why_worse)
    return verdict


def roll_back(assistant: Assistant, by: User | ApiToken) -> Version:
    """Let the version answer that was live before. Raises NothingToRollBackTo."""
    previous = (
        Version.objects.filter(assistant=assistant, status=VersionStatus.RETIRED)
        .order_by("-live_at")
        .first()
    )
    if previous is None:
        raise NothingToRollBackTo
    _go_live(previous, by, "assistant.rolled-back")
    return previous


@transaction.atomic
def _go_live(version: Version, by: User | ApiToken, action: str, **detail: str) -> None:
    assistant = Assistant.objects.select_for_update().get(pk=version.assistant_id)
    if assistant.state == Assistant.State.RETIRED:
        raise StaleVersionState("This assistant was retired.")
    live = Version.objects.filter(assistant=assistant, status=VersionStatus.LIVE).first()
    if live is not None:
        live.transition(VersionStatus.RETIRED)
    version.transition(VersionStatus.LIVE, live_at=now())
    is_paused = assistant.state == Assistant.State.PAUSED  # Only a person resumes it.
    if not is_paused:
        Assistant.objects.filter(pk=assistant.pk).update(state=Assistant.State.LIVE)
    audit.record(assistant.team, by, action, str(version), **detail)
    publish_notice(
        assistant.team,
        "assistant.live",
        f"{version} answers once the assistant is resumed."
        if is_paused
        else f"{version} answers now.",
        url=f"/assistants/{assistant.pk}/",
        data={"assistant": str(assistant.pk), "version": version.number},
    )
    notify(f"assistant:{assistant.pk}")
