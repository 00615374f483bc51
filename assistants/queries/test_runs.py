"""How the live version and the newest one decide the test cases, beside each other."""

from dataclasses import dataclass

from assistants.models import Assistant, TestCase, TestRun, Version, VersionStatus
from assistants.models.quality import CaseResult

CASES_SHOWN = 500


@dataclass(frozen=True)
class CaseRow:
    """A case with its last results, None where it was not run since."""

    case: TestCase
    live: CaseResult | None
    newest: CaseResult | None

    @property
    def differs(self) -> bool:
        if self.live is None or self.newest is None:
            return False
        return self.live["got"] != self.newest["got"]


def versions_to_test(assistant: Assistant) -> list[Version]:
    """The live one, then the newest that is measured."""
    usable = [VersionStatus.LIVE, VersionStatus.MEASURED]
    rows = list(assistant.versions.filter(status__in=usable).select_related("assistant"))
    live = [row for row in rows if row.status == VersionStatus.LIVE]
    newest = [row for row in rows[:1] if row not in live]
    return [*live, *newest]


def compare_runs(assistant: Assistant) -> dict[str, object]:
    """`rows`, and the last `runs` they come from."""
    runs: dict[str, TestRun] = {}
    for version in versions_to_test(assistant):
        place = "live" if version.status == VersionStatus.LIVE else "newest"
        last = TestRun.objects.filter(version=version).select_related("version").first()
        if last is not None:
            runs[place] = last
    results = {
        place: {result["case"]: result for result in run.results} for place, run in runs.items()
    }
    rows = [
        CaseRow(case, results.get("live", {}).get(case.pk), results.get("newest", {}).get(case.pk))
        for case in assistant.test_cases.all()[:CASES_SHOWN]
    ]
    return {"rows": rows, "runs": list(runs.values())}
