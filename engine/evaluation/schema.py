"""The report as JSON: one type for every task, without the parts that do not apply. No NaN.

`REPORT_FORMAT` grows when a key changes its meaning; adding a key leaves it as it is.
"""

from collections.abc import Mapping
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from engine.metrics.calibration import CalibrationBin
from engine.metrics.classification import ClassScores
from engine.metrics.measures import Measure
from engine.metrics.paired import Significance

REPORT_FORMAT = 2
Verdict = Literal["helped", "hurt", "no_difference", "unknown"]
AnswerTypeName = Literal["classification", "multilabel", "regression", "generation"]


class BaselineResult(TypedDict):
    id: str
    name: str
    note: str
    metrics: list[Measure]
    significance: Significance


class CrossValidatedRows(TypedDict):
    """On how many rows the figures rest where the test rows are few, and how that came about."""

    rows: int  # Different ones, with the test rows.
    test_rows: int
    fits: int  # Further models.
    repeats: int  # How often each row was tested, by other models each time.
    sentence: str


class ConfusedPair(TypedDict):
    true: str
    predicted: str
    count: int


class Confusion(TypedDict):
    labels: list[str]
    matrix: list[list[int]] | None  # True label by row; None with too many labels.
    pairs: list[ConfusedPair]


class LabelCurve(TypedDict):
    label: str
    positives: int
    roc_auc: float
    average_precision: float
    roc: list[list[float]]  # [false positive rate, true positive rate]
    pr: list[list[float]]  # [recall, precision]


class SliceResult(TypedDict):
    name: str
    rows: int
    metrics: list[Measure]
    is_weak: bool  # Its whole interval is worse than the value over all rows.
    note: NotRequired[str]


class Breakdown(TypedDict):
    by: str  # "length", or a column.
    title: str
    slices: list[SliceResult]


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


class GenerationSample(TypedDict):
    row: int
    prompt: str
    reference: str
    output: str
    rougeL: float
    base_output: NotRequired[str]
    base_rougeL: NotRequired[float]


class RateEstimate(TypedDict):
    value: float | None
    low: float | None
    high: float | None


class GroupRates(TypedDict):
    name: str
    rows: int
    is_small: bool
    rates: dict[str, RateEstimate]


class FairnessGap(TypedDict):
    """The largest difference between two groups, small ones left out where there are others."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    method: str


class LabelFairness(TypedDict):
    """One label against the others (None for numbers)."""

    label: str | None
    groups: list[GroupRates]
    gaps: list[FairnessGap]


class FairnessReport(TypedDict):
    column: str
    sentence: str
    questions: list[LabelFairness]  # The widest equalised odds difference first.
    warnings: list[str]
    method: str
    chosen_label: NotRequired[str]


class PerturbationResult(TypedDict):
    id: str
    title: str
    metrics: list[Measure]
    significance: Significance  # Changed less unchanged, on the same rows.
    is_worse: bool
    flipped: NotRequired[int]
    examples: NotRequired[list[dict[str, str]]]


class AccuracyInterval(TypedDict):
    accuracy: float
    low: float | None
    high: float | None


class AttackResult(AccuracyInterval):
    attack: str
    epsilon: float
    significance: Significance
    shown: NotRequired[str]  # The strength in the unit of the input.


class AttackReport(TypedDict):
    rows: int
    clean: AccuracyInterval
    attacks: list[AttackResult]
    method: str
    sentence: NotRequired[str]
    what: NotRequired[str]  # What was moved, where it is not the embedding.


class RobustnessReport(TypedDict):
    rows: int
    sentence: str
    unchanged: list[Measure]
    changes: list[PerturbationResult]
    method: str
    adversarial: NotRequired[AttackReport]
    augmentation: NotRequired[str]  # What training on augmented rows gave.


class LabelExample(TypedDict):
    row: int
    text: str
    true: str
    predicted: str
    probability: float
    runner_up: str
    runner_up_probability: float
    explanation: NotRequired[Mapping[str, object]]


class NumberExample(TypedDict):
    row: int
    text: str
    true: float
    predicted: float
    error: float
    explanation: NotRequired[Mapping[str, object]]


Examples = (
    dict[str, list[LabelExample]]
    | dict[str, list[NumberExample]]
    | dict[str, list[GenerationSample]]
)


class AnswerTypeParts(TypedDict, total=False):
    """What only reports on one type of answers have."""

    examples: Examples
    per_class: list[ClassScores]
    confusion: Confusion
    curves: list[LabelCurve]
    calibration: dict[str, list[CalibrationBin]]
    residuals: Residuals
    samples: list[GenerationSample]


class Report(AnswerTypeParts):
    """Numbers and sentences on the test rows. The job adds data, parity, training and timings."""

    format: int
    kind: AnswerTypeName
    headline: str
    verdict: Verdict
    sure: str
    next_step: str
    probe_sentence: str
    notes: list[str]
    headline_metric: str
    test_rows: int  # On which the figures rest: of a cross-validation all of its rows.
    metrics: list[Measure]
    baselines: list[BaselineResult]
    breakdowns: list[Breakdown]
    cross_validation: NotRequired[CrossValidatedRows]
    fairness: NotRequired[list[FairnessReport]]
    robustness: NotRequired[RobustnessReport]
    explanations: NotRequired[dict[str, object]]
