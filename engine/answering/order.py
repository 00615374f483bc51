"""What measuring is asked and what it answers, as files between processes. Needs no torch."""

from typing import Literal

from pydantic import BaseModel

from engine.answering.encoders import DEFAULT_ENCODER
from engine.answering.passages import PassageFusion, PassageReport
from engine.answering.scoring import Calibrator
from engine.encoder_precision import EncoderPrecision


class OrderPhrasing(BaseModel):
    """A known question. `answer` is any id; suggested ones are never left out to measure."""

    text: str
    answer: str
    language: str = "en"
    is_suggested: bool = False


class OrderPassage(BaseModel):
    """A part of a document."""

    text: str
    heading: str = ""
    language: str = "en"

    @property
    def whole(self) -> str:
        """What is embedded and searched: the heading says what the text is about."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


class JudgedQuestion(BaseModel):
    """A real question with the answer a person found right; None: it should be refused."""

    text: str
    answer: str | None
    language: str = "en"


class MeasuringOrder(BaseModel):
    phrasings: list[OrderPhrasing]
    passages: list[OrderPassage] = []
    judged: list[JudgedQuestion] = []
    promise: float
    out_of_scope_share: float
    encoder: str = DEFAULT_ENCODER
    precision: EncoderPrecision = "int8"
    classifier_folder: str = ""  # Of the order's folder: an artifact whose linear layer is used.


class CurvePoint(BaseModel):
    """One threshold: shares of all questions, of those in scope, and of those answered."""

    threshold: float
    answered: float
    answered_in_scope: float
    precision: float
    bound: float
    refused_out_of_scope: float


class WorstQuestion(BaseModel):
    """A held-out question that would be answered wrongly, the surest first."""

    text: str
    chosen: str
    expected: str | None
    probability: float


class TopicReport(BaseModel):
    """Held-out questions of one answer: how many, answered alone, and right among those."""

    answer: str
    questions: int
    answered: int
    right: int


class LanguageReport(BaseModel):
    """What held-out questions say of one language."""

    status: Literal["measured", "not_measurable"]
    reason: str = ""
    held_out: int
    held_out_out_of_scope: int
    top1: float = 0.0
    usual_cosine: float | None = None  # 95 of 100 held-out questions in scope are nearer.
    point: CurvePoint | None = None
    asked_back: float = 0.0
    curve: list[CurvePoint] = []
    worst: list[WorstQuestion] = []
    thin_answers: list[str] = []  # Of fewer than three phrasings.
    topics: list[TopicReport] = []  # The least answered first.


class LanguageModel(BaseModel):
    """All that scores questions of one language; the probe is in `<language>.npy` beside it."""

    answers: list[str]
    calibrator: Calibrator


class MeasuringResult(BaseModel):
    encoder: str
    languages: dict[str, LanguageReport]
    models: dict[str, LanguageModel]
    fusions: dict[str, PassageFusion] = {}  # By language.
    passage_reports: dict[str, PassageReport] = {}
