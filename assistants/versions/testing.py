"""Runs an assistant's test cases against a version, with the code that decides in earnest."""

from assistants.answering.deciding import decide
from assistants.answering.masking import mask
from assistants.answering.outcome import Outcome
from assistants.models import Decision, TestCase, TestRun, Version
from assistants.models.quality import CaseResult
from assistants.rules.matching import Situation


def run_tests(version: Version) -> TestRun:
    """Every case of the assistant, stored as a run."""
    cases = TestCase.objects.filter(assistant=version.assistant)
    results = [_run_case(version, case) for case in cases]
    failed = [result for result in results if not result["passed"]]
    return TestRun.objects.create(
        version=version,
        results=results,
        passed=len(results) - len(failed),
        failed=len(failed),
        failed_locked=sum(result["locked"] for result in failed),
    )


def _run_case(version: Version, case: TestCase) -> CaseResult:
    outcome = decide(version, Situation(text=mask(case.question), language=case.language))
    got = f"{outcome.route} {outcome.answer_key}".strip()
    return {
        "case": case.pk,
        "question": case.question,
        "passed": _meets(case, outcome),
        "locked": case.locked,
        "got": got,
    }


def _meets(case: TestCase, outcome: Outcome) -> bool:
    if case.expects == TestCase.Expects.ANSWER:
        return outcome.route == Decision.Route.ANSWER and outcome.answer_key == case.value
    if case.expects == TestCase.Expects.CONTAINS:
        return case.value.casefold() in outcome.text.casefold()
    return outcome.route == case.expects
