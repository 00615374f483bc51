"""What an assistant's promise is worth on questions nobody fitted.

    python -m benchmarks.assistants [--data FOLDER] [--seeds 5]

FOLDER holds clinc150_faq and banking77 (`text,intent` and `text,category`); without it an FAQ of
our own generator is measured. Vectors are computed once and kept in the machine's temporary folder.
Each line is the median over the seeds, and in how many of them the promise was missed by more
than a point.
"""

import argparse
import csv
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from assistants.demo_data import generate_faq
from engine.answering.calibration import calibrate
from engine.answering.encoders import DEFAULT_ENCODER, choose_encoder
from engine.answering.held_out import (
    IN_SCOPE,
    OFF_TOPIC,
    FittedScorer,
    HeldOut,
    Phrasings,
    leave_out,
    load_off_topic,
)
from engine.answering.passages import (
    AskedPassages,
    PassageFusion,
    PassageReport,
    count_terms,
    fit_fusion,
    score_bm25,
    share_first,
)
from engine.answering.scoring import rank
from engine.answering.sentence_encoder import SentenceEncoder
from engine.answering.terms import score_terms, split_terms, weigh_terms

OUT_OF_SCOPE_SHARE = 0.18


@dataclass(frozen=True)
class Rows:
    """Questions with their vectors; `answers` is -1 for those out of scope."""

    texts: list[str]
    vectors: np.ndarray
    answers: np.ndarray

    def select(self, rows: np.ndarray) -> "Rows":
        texts = [self.texts[row] for row in rows]
        return Rows(texts, self.vectors[rows], self.answers[rows])


@dataclass(frozen=True)
class Faq:
    """Rows to teach from, rows nobody fitted, and out-of-scope rows nobody fitted."""

    train: Rows
    test: Rows
    out_of_scope: Rows
    answer_count: int


@dataclass(frozen=True)
class Outcome:
    """Of the test questions, those out of scope weighted to OUT_OF_SCOPE_SHARE."""

    top1: float
    answered: float
    precision: float
    refused: float


@dataclass(frozen=True)
class Line:
    """One line of the table; `count` None: all phrasings."""

    title: str
    count: int | None
    promise: float
    calibration: str = "own"
    out_of_scope_seen: float = 1.0  # Of the out-of-scope rows of the half that is judged.


CLINC_LINES = [
    Line("10 phrasings, promise .95, judged questions", 10, 0.95, "judged"),
    Line("10 phrasings, promise .95, own rows only", 10, 0.95),
    Line("10 phrasings, promise .90, own rows only", 10, 0.90),
    Line("3 phrasings, promise .90, own rows only", 3, 0.90),
    # 45 of 1,545 judged questions, while 18 of 100 real ones are out of scope.
    Line("10 phrasings, .95, 3 % out of scope seen", 10, 0.95, "judged", 0.45),
    Line("all phrasings, promise .95, judged questions", None, 0.95, "judged"),
]


class CachedEncoder:
    """Embeds each text once on a machine."""

    def __init__(self, model_id: str = DEFAULT_ENCODER) -> None:
        self._id = model_id
        self._encoder: SentenceEncoder | None = None
        self._folder = Path(tempfile.gettempdir()) / "lathe-benchmark-vectors"
        self._folder.mkdir(exist_ok=True)

    def embed(self, texts: list[str]) -> np.ndarray:
        digest = hashlib.sha256("\0".join([self._id, *texts]).encode()).hexdigest()[:24]
        path = self._folder / f"{digest}.npy"
        if not path.exists():
            self._encoder = self._encoder or SentenceEncoder(self._id)
            np.save(path, self._encoder.embed(texts))
        return np.load(path).astype(np.float64)


def read_rows(path: Path, encoder: CachedEncoder, answers: dict[str, int]) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row[0], row[1]) for row in csv.reader(file)][1:]
    texts = [text for text, _ in rows]
    return Rows(texts, encoder.embed(texts), np.array([answers.get(key, -1) for _, key in rows]))


def load_clinc(folder: Path, encoder: CachedEncoder) -> Faq:
    with (folder / "train.csv").open(newline="", encoding="utf-8") as file:
        keys = sorted({row[1] for row in csv.reader(file)} - {"intent"})
    answers = {key: number for number, key in enumerate(keys)}
    train, test, out = (
        read_rows(folder / name, encoder, answers)
        for name in ("train.csv", "val.csv", "out_of_scope.csv")
    )
    return Faq(train, test, out, len(answers))


def load_banking(folder: Path, encoder: CachedEncoder, seed: int) -> Faq:
    """Ten categories, drawn by the seed, are left out: near questions nobody can answer."""
    with (folder / "train.csv").open(newline="", encoding="utf-8") as file:
        keys = sorted({row[1] for row in csv.reader(file)} - {"category"})
    left_out = set(np.random.default_rng(seed).choice(keys, 10, replace=False))
    answers = {key: number for number, key in enumerate(k for k in keys if k not in left_out)}
    train = read_rows(folder / "train.csv", encoder, answers)
    test = read_rows(folder / "test_a.csv", encoder, answers)
    return Faq(
        train.select(np.flatnonzero(train.answers >= 0)),
        test.select(np.flatnonzero(test.answers >= 0)),
        test.select(np.flatnonzero(test.answers < 0)),
        len(answers),
    )


def generate_rows(encoder: CachedEncoder) -> Faq:
    """Our own generator's FAQ; a tenth of its topics are left out as out of scope."""
    rows = generate_faq(12)
    keys = sorted({row.topic for row in rows})
    answers = {key: number for number, key in enumerate(keys[len(keys) // 10 :])}
    texts = [row.question for row in rows]
    numbers = np.array([answers.get(row.topic, -1) for row in rows])
    everything = Rows(texts, encoder.embed(texts), numbers)
    known = np.flatnonzero(numbers >= 0)
    return Faq(
        everything.select(known[known % 3 > 0]),
        everything.select(known[known % 3 == 0]),
        everything.select(np.flatnonzero(numbers < 0)),
        len(answers),
    )


def draw_phrasings(faq: Faq, count: int | None, seed: int) -> Phrasings:
    """`count` phrasings of each answer; all where it is None."""
    rng = np.random.default_rng(seed)
    chosen = []
    for answer in range(faq.answer_count):
        rows = np.flatnonzero(faq.train.answers == answer)
        chosen.append(rng.permutation(rows)[: count or len(rows)])
    rows = faq.train.select(np.concatenate(chosen))
    may_measure = np.ones(len(rows.texts), dtype=bool)
    return Phrasings(rows.texts, rows.vectors, rows.answers, may_measure, faq.answer_count)


def try_promise(faq: Faq, encoder: CachedEncoder, line: Line, seed: int) -> Outcome:
    """Calibrate on own rows alone ("own") or on half of the test files ("judged")."""
    known = draw_phrasings(faq, line.count, seed)
    rng = np.random.default_rng(seed)
    test, out = faq.test, faq.out_of_scope
    if line.calibration == "own":
        off_topic = load_off_topic("en")
        held_out = leave_out(known, (off_topic, encoder.embed(off_topic)), seed)
        is_judged = np.zeros(len(held_out.kinds), dtype=bool)
    else:
        seen, test = _halve(test, rng)
        seen_out, out = _halve(out, rng)
        kept = max(1, round(len(seen_out.texts) * line.out_of_scope_seen))
        seen_out = seen_out.select(np.arange(kept))
        held_out = HeldOut.join([_score(known, seen), _score(known, seen_out)])
        is_judged = np.ones(len(held_out.kinds), dtype=bool)
    calibrator = calibrate(held_out, is_judged, line.promise, OUT_OF_SCOPE_SHARE).calibrator
    threshold = 2.0 if calibrator.answer is None else calibrator.answer
    asked = HeldOut.join([_score(known, test), _score(known, out)])
    ranking = rank(asked.scores, calibrator.mixture)
    answered = calibrator.probability(ranking.features) >= threshold
    return _outcome(asked, ranking.order[:, 0] == asked.answers, answered)


def _outcome(asked: HeldOut, right: np.ndarray, answered: np.ndarray) -> Outcome:
    in_scope = asked.kinds == IN_SCOPE
    weights = np.where(
        in_scope,
        (1 - OUT_OF_SCOPE_SHARE) / in_scope.sum(),
        OUT_OF_SCOPE_SHARE / max(1, (~in_scope).sum()),
    )
    total = weights[answered].sum()
    return Outcome(
        top1=float(right[in_scope].mean()),
        answered=float(answered[in_scope].mean()),
        precision=float(weights[answered & right].sum() / total) if total else 0.0,
        refused=float(1 - answered[~in_scope].mean()),
    )


def _score(known: Phrasings, rows: Rows) -> HeldOut:
    scores = FittedScorer(known).score(rows.texts, rows.vectors)
    kinds = np.where(rows.answers >= 0, IN_SCOPE, OFF_TOPIC)
    return HeldOut(scores, rows.answers, kinds, rows.texts)


def _halve(rows: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    order = rng.permutation(len(rows.texts))
    return rows.select(order[::2]), rows.select(order[1::2])


def print_line(title: str, outcomes: list[Outcome], promise: float) -> None:
    figures = {
        name: median(getattr(outcome, name) for outcome in outcomes)
        for name in ("top1", "answered", "precision", "refused")
    }
    missed = sum(outcome.precision < promise - 0.01 for outcome in outcomes)
    print(
        title.ljust(52),
        *(f"{name} {value:.3f} " for name, value in figures.items()),
        f"promise missed by over a point: {missed} of {len(outcomes)}",
        flush=True,
    )


def find_paragraphs(path: Path) -> float:
    """Share of Chinese questions whose paragraph BM25 over character pairs puts first."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    weights = weigh_terms(
        {number: split_terms(paragraph["context"]) for number, paragraph in enumerate(paragraphs)}
    )
    found = []
    for number, paragraph in enumerate(paragraphs):
        for question in paragraph["qas"]:
            scores = score_terms(weights, question["question"])
            found.append(max(scores, key=scores.__getitem__, default=-1) == number)
    return sum(found) / len(found)


def find_fused(path: Path, encoder: CachedEncoder) -> PassageReport:
    """Shares of the same questions, by vectors, terms and both, joined as a version learns it from
    the paragraphs alone."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    texts = [paragraph["context"] for paragraph in paragraphs]
    asked = [(qa["question"], n) for n, one in enumerate(paragraphs) for qa in one["qas"]]
    questions = [question for question, _ in asked]
    vectors = encoder.embed(texts)
    off_topic = load_off_topic("zh")
    fusion, _ = fit_fusion(texts, vectors, (off_topic, encoder.embed(off_topic)), encoder.embed)
    weights = weigh_terms({number: split_terms(text) for number, text in enumerate(texts)})
    scored = AskedPassages(
        encoder.embed(questions) @ vectors.T,
        score_bm25(weights, questions, len(texts)),
        np.array([number for _, number in asked]),
        count_terms(questions),
    )
    return PassageReport(
        passages=len(texts),
        asked=len(asked),
        vectors=share_first(scored, PassageFusion(weight=0.0)),
        terms=share_first(scored, PassageFusion(weight=1e6)),
        fused=share_first(scored, fusion),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    encoder = CachedEncoder()
    if not (options.data / "clinc150_faq").is_dir():
        line = Line("8 phrasings, promise .90, own rows only", 8, 0.90)
        faq = generate_rows(encoder)
        outcomes = [try_promise(faq, encoder, line, seed) for seed in range(options.seeds)]
        print_line(f"generated FAQ: {line.title}", outcomes, line.promise)
        return
    clinc = load_clinc(options.data / "clinc150_faq", encoder)
    for line in CLINC_LINES:
        outcomes = [
            try_promise(clinc, encoder, line, seed)
            for seed in range(options.seeds if line.count else 1)
        ]
        print_line(f"clinc150: {line.title}", outcomes, line.promise)
    if (folder := options.data / "banking77").is_dir():
        line = Line("10 answers left out, promise .95, own rows", 10, 0.95)
        outcomes = [
            try_promise(load_banking(folder, encoder, seed), encoder, line, seed)
            for seed in range(options.seeds)
        ]
        print_line(f"banking77: {line.title}", outcomes, line.promise)
    if (path := options.data / "xquad_zh/paragraphs.json").is_file():
        print(
            "xquad_zh: bigrams find the paragraph first".ljust(52), f"{find_paragraphs(path):.3f}"
        )
        if (chosen := choose_encoder(["zh"])) != DEFAULT_ENCODER:
            report = find_fused(path, CachedEncoder(chosen))
            print(
                f"xquad_zh: {chosen}".ljust(52),
                f"vectors {report.vectors:.3f}  terms {report.terms:.3f}  fused {report.fused:.3f}",
            )


if __name__ == "__main__":
    main()
