"""What a version's report says, in the figures that people and programs ask for."""

from typing import Any

from assistants.models import Version


def summarise(version: Version) -> dict[str, object]:
    """Of the language with most held-out questions at the top, each language below `languages`.

    `answered_share` is of questions that have an answer; `answered_of_all` of all questions.
    """
    reports: dict[str, Any] = version.report
    if not reports:
        return {}
    main = max(reports, key=lambda language: int(reports[language]["held_out"]))
    languages = {language: _figures(report) for language, report in reports.items()}
    return {**languages[main], "language": main, "languages": languages}


def _figures(report: dict[str, Any]) -> dict[str, object]:
    point = report.get("point") or {}
    can_answer = bool(point) and not report["reason"]
    return {
        "status": report["status"],
        "reason": report["reason"],
        "held_out": report["held_out"],
        "held_out_out_of_scope": report["held_out_out_of_scope"],
        "top1": report["top1"],
        "answered_share": point.get("answered_in_scope", 0.0),
        "answered_of_all": point.get("answered", 0.0),
        "asked_back_share": report["asked_back"],
        "precision": point.get("precision") if can_answer else None,
        "precision_bound": point.get("bound") if can_answer else None,
        "refused_out_of_scope": point.get("refused_out_of_scope") if can_answer else None,
        "threshold": point.get("threshold") if can_answer else None,
        "thin_answers": report["thin_answers"],
    }
