"""Measures a version of an assistant: from known phrasings to what it may answer, by language."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.answering.calibration import (
    MIN_IN_SCOPE,
    Flags,
    Measured,
    Point,
    calibrate,
    can_promise,
    point_at,
)
from engine.answering.encoders import ENGLISH_ONLY
from engine.answering.held_out import (
    IN_SCOPE,
    OFF_TOPIC,
    FittedScorer,
    HeldOut,
    Phrasings,
    leave_out,
    load_off_topic,
)
from engine.answering.order import (
    CurvePoint,
    LanguageModel,
    LanguageReport,
    MeasuringOrder,
    MeasuringResult,
    TopicReport,
    WorstQuestion,
)
from engine.answering.passages import fit_fusion
from engine.answering.probe import read_probe
from engine.answering.scoring import Array, Calibrator, probe_scores
from engine.answering.sentence_encoder import SentenceEncoder
from engine.errors import BrokenArtifact

CURVE_POINTS = 60
WORST_ROWS = 20
MIN_AGREEMENT = 0.8  # Of the trained layer with the one fitted here, on the phrasings.


def measure(order: MeasuringOrder, encoder: SentenceEncoder, folder: Path) -> MeasuringResult:
    """Embed, leave out, calibrate. Writes vectors.npy, float16, in the order of the phrasings, and
    the probe of each language: the layer of a trained classifier, or one fitted here alike."""
    vectors = encoder.embed([phrasing.text for phrasing in order.phrasings])
    np.save(folder / "vectors.npy", vectors.astype(np.float16))
    reports: dict[str, LanguageReport] = {}
    models: dict[str, LanguageModel] = {}
    for language in sorted({phrasing.language for phrasing in order.phrasings}):
        rows = [n for n, known in enumerate(order.phrasings) if known.language == language]
        answers = sorted({order.phrasings[row].answer for row in rows})
        if len(answers) < 2:
            reports[language] = _not_measurable("Write at least two answers in this language.", 0)
            continue
        known = _phrasings_of(order, rows, answers, vectors[rows].astype(np.float64))
        scorer = FittedScorer(known)
        if order.classifier_folder:
            trained = read_probe(folder / order.classifier_folder, answers)
            _require_agreement(scorer, trained)
            scorer = FittedScorer(known, trained)
        report, calibrator = _measure_language(order, language, scorer, answers, encoder)
        np.save(folder / f"{language}.npy", scorer.probe.astype(np.float32))
        reports[language] = report
        models[language] = LanguageModel(answers=answers, calibrator=calibrator)
    result = MeasuringResult(encoder=order.encoder, languages=reports, models=models)
    _measure_passages(order, encoder, folder, result)
    return result


def _measure_passages(
    order: MeasuringOrder, encoder: SentenceEncoder, folder: Path, result: MeasuringResult
) -> None:
    """Embed the passages, in their order, into passages.npy; learn how to find them."""
    if not order.passages:
        return
    texts = [passage.whole for passage in order.passages]
    vectors = encoder.embed(texts).astype(np.float64)
    np.save(folder / "passages.npy", vectors.astype(np.float16))

    def embed(some: Sequence[str]) -> Array:
        return encoder.embed(some).astype(np.float64)

    for language in sorted({passage.language for passage in order.passages}):
        rows = [row for row, known in enumerate(order.passages) if known.language == language]
        off_topic = load_off_topic(language)
        fusion, report = fit_fusion(
            [texts[row] for row in rows], vectors[rows], (off_topic, embed(off_topic)), embed
        )
        result.fusions[language] = fusion
        result.passage_reports[language] = report


def _require_agreement(fitted: FittedScorer, trained: Array) -> None:
    """Held-out questions are scored by layers fitted here: the trained one must be their like.

    Raises BrokenArtifact, as of a classifier of other rows or another encoder.
    """
    questions = fitted.known.embeddings
    same = probe_scores(fitted.probe, questions).argmax(1) == probe_scores(
        trained, questions
    ).argmax(1)
    if same.mean() < MIN_AGREEMENT:
        raise BrokenArtifact(
            f"The trained classifier agrees with its own rows on {same.mean():.0%} only."
        )


def _phrasings_of(
    order: MeasuringOrder, rows: list[int], answers: list[str], vectors: Array
) -> Phrasings:
    number = {answer: place for place, answer in enumerate(answers)}
    chosen = [order.phrasings[row] for row in rows]
    return Phrasings(
        texts=[phrasing.text for phrasing in chosen],
        embeddings=vectors,
        answers=np.array([number[phrasing.answer] for phrasing in chosen]),
        may_measure=np.array([not phrasing.is_suggested for phrasing in chosen]),
        answer_count=len(answers),
    )


def _measure_language(
    order: MeasuringOrder,
    language: str,
    scorer: FittedScorer,
    answers: list[str],
    encoder: SentenceEncoder,
) -> tuple[LanguageReport, Calibrator]:
    known, off_topic = scorer.known, load_off_topic(language)
    held_out = leave_out(known, (off_topic, encoder.embed(off_topic).astype(np.float64)))
    judged = _score_judged(order, language, scorer, answers, encoder)
    is_judged = np.zeros(len(held_out.kinds), dtype=bool)
    if judged is not None:
        held_out = HeldOut.join([held_out, judged])
        is_judged = np.append(is_judged, np.ones(len(judged.kinds), dtype=bool))
    measured = calibrate(held_out, is_judged, order.promise, order.out_of_scope_share)
    report = _describe(order, language, held_out, is_judged, measured, answers, known)
    calibrator = measured.calibrator
    if report.status != "measured":
        calibrator = calibrator.model_copy(update={"answer": None})
    return report, calibrator


def _score_judged(
    order: MeasuringOrder,
    language: str,
    scorer: FittedScorer,
    answers: list[str],
    encoder: SentenceEncoder,
) -> HeldOut | None:
    """Judged questions that are no phrasing by now: what was taught measures nothing."""
    taught = set(scorer.known.texts)
    number = {answer: place for place, answer in enumerate(answers)}
    questions = [
        question
        for question in order.judged
        if question.language == language
        and question.text not in taught
        and (question.answer is None or question.answer in number)
    ]
    if not questions:
        return None
    texts = [question.text for question in questions]
    right = np.array([number[q.answer] if q.answer is not None else -1 for q in questions])
    scores = scorer.score(texts, encoder.embed(texts).astype(np.float64))
    return HeldOut(scores, right, np.where(right >= 0, IN_SCOPE, OFF_TOPIC), texts)


def _describe(
    order: MeasuringOrder,
    language: str,
    held_out: HeldOut,
    is_judged: Flags,
    measured: Measured,
    answers: list[str],
    known: Phrasings,
) -> LanguageReport:
    in_scope = held_out.kinds == IN_SCOPE
    count = int(in_scope.sum())
    if language != "en" and order.encoder in ENGLISH_ONLY:
        return _not_measurable(
            f"The encoder {order.encoder} knows only English, so nothing is promised in this"
            " language. Choose a multilingual encoder.",
            count,
        )
    if not can_promise(held_out):
        return _not_measurable(_describe_missing(max(0, MIN_IN_SCOPE - count)), count)
    threshold = measured.calibrator.answer
    point = point_at(measured, held_out, threshold)
    asks = (measured.probability >= measured.calibrator.ask) & (
        measured.probability < (2.0 if threshold is None else threshold)
    )
    thresholds = np.unique(np.quantile(measured.probability, np.linspace(0, 1, CURVE_POINTS)))
    sizes = np.bincount(known.answers, minlength=len(answers))
    return LanguageReport(
        status="measured",
        reason=""
        if threshold is not None
        else "No threshold keeps this promise on the held-out questions. Add phrasings, or promise"
        " less.",
        held_out=count,
        held_out_out_of_scope=len(held_out.kinds) - count,
        top1=float(measured.right[in_scope].mean()),
        usual_cosine=float(np.quantile(held_out.scores.cosine[in_scope].max(axis=1), 0.05)),
        point=_curve_point(point),
        asked_back=float(measured.weights[asks].sum() / measured.weights.sum()),
        curve=[_curve_point(point_at(measured, held_out, float(t))) for t in thresholds],
        worst=_worst_questions(measured, held_out, answers),
        thin_answers=[answers[number] for number in np.flatnonzero(sizes < 3)],
        topics=_describe_topics(measured, held_out, answers),
    )


def _describe_missing(questions: int) -> str:
    if not questions:
        return "Judge some questions in this language that nobody could answer first."
    return (
        f"{'1 more question is' if questions == 1 else f'{questions} more questions are'} needed"
        " before a promise can be measured."
    )


def _not_measurable(reason: str, held_out: int) -> LanguageReport:
    return LanguageReport(
        status="not_measurable", reason=reason, held_out=held_out, held_out_out_of_scope=0
    )


def _curve_point(point: Point) -> CurvePoint:
    return CurvePoint(**{name: round(value, 5) for name, value in vars(point).items()})


def _describe_topics(
    measured: Measured, held_out: HeldOut, answers: list[str]
) -> list[TopicReport]:
    threshold = measured.calibrator.answer
    alone = measured.probability >= (2.0 if threshold is None else threshold)
    topics = []
    for number, answer in enumerate(answers):
        rows = (held_out.kinds == IN_SCOPE) & (held_out.answers == number)
        topics.append(
            TopicReport(
                answer=answer,
                questions=int(rows.sum()),
                answered=int((rows & alone).sum()),
                right=int((rows & alone & measured.right).sum()),
            )
        )
    return sorted(topics, key=lambda topic: topic.answered / max(1, topic.questions))


def _worst_questions(
    measured: Measured, held_out: HeldOut, answers: list[str]
) -> list[WorstQuestion]:
    threshold = measured.calibrator.answer
    wrong = np.flatnonzero(
        ~measured.right & (measured.probability >= (0.5 if threshold is None else threshold))
    )
    surest = wrong[np.argsort(-measured.probability[wrong], kind="stable")][:WORST_ROWS]
    return [
        WorstQuestion(
            text=held_out.texts[row],
            chosen=answers[measured.ranking.order[row, 0]],
            expected=answers[held_out.answers[row]] if held_out.answers[row] >= 0 else None,
            probability=float(measured.probability[row]),
        )
        for row in surest
    ]
