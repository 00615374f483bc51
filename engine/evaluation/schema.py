"""The report as JSON: one shape for every task, parts that do not apply left out. No NaN.

`FORMAT` grows when a key changes its meaning; new keys may come without.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from engine.fairness import Fairness
from engine.metrics.calibration import CalibrationBin
from engine.metrics.classification import ClassScores
from engine.metrics.measures import Measure
from engine.metrics.paired import Significance

FORMAT = 2
Verdict = Literal["helped", "hurt", "no_difference", "unknown"]
KindName = Literal["classification", "multilabel", "regression", "generation"]


class Baseline(TypedDict):
    id: str
    name: str
    note: str
    metrics: list[Measure]
    significance: Significance


class ConfusedPair(TypedDict):
    true: str
    predicted: str
    count: int


class Confusion(TypedDict):
    labels: list[str]
    matrix: list[list[int]] | None  # True label by row; None with too many labels.
    pairs: list[ConfusedPair]


class Curve(TypedDict):
    label: str
    positives: int
    roc_auc: float
    average_precision: float
    roc: list[list[float]]  # [false positive rate, true positive rate]
    pr: list[list[float]]  # [recall, precision]


class Slice(TypedDict):
    name: str
    rows: int
    metrics: list[Measure]
    is_weak: bool  # Its whole interval is worse than the value over all rows.
    note: NotRequired[str]


class Breakdown(TypedDict):
    by: str  # "length", or a column.
    title: str
    slices: list[Slice]


class ErrorRange(TypedDict):
    low: float
    high: float
    rows: int
    mae: float
    mae_low: float | None
    mae_high: float | None
    bias: float


class Histogram(TypedDict):
    edges: list[float]
    counts: list[int]


class Residuals(TypedDict):
    points: list[list[float]]  # [true, predicted], at most a few hundred rows drawn evenly.
    errors: Histogram
    ranges: list[ErrorRange]


class Sample(TypedDict):
    row: int
    prompt: str
    reference: str
    output: str
    rougeL: float
    base_output: NotRequired[str]
    base_rougeL: NotRequired[float]


class Report(TypedDict):
    """Numbers and sentences on the test rows. The job adds data, parity, training and timings."""

    format: int
    kind: KindName
    headline: str
    verdict: Verdict
    sure: str
    next_step: str
    probe_sentence: str
    notes: list[str]
    headline_metric: str
    test_rows: int
    metrics: list[Measure]
    baselines: list[Baseline]
    breakdowns: list[Breakdown]
    examples: dict[str, list[dict[str, Any]]]
    per_class: NotRequired[list[ClassScores]]
    confusion: NotRequired[Confusion]
    curves: NotRequired[list[Curve]]
    calibration: NotRequired[dict[str, list[CalibrationBin]]]
    residuals: NotRequired[Residuals]
    samples: NotRequired[list[Sample]]
    fairness: NotRequired[list[Fairness]]
    robustness: NotRequired[dict[str, Any]]
    explanations: NotRequired[dict[str, Any]]
