"""Compares an endpoint's sampled requests of the last week with what its model learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Literal

from django.utils.timezone import now

from engine.artifact import Inputs, Target
from inference.drift.bins import BinName, Bins, Value
from inference.drift.model_rows import cell_reader, cells_of, text_of
from inference.drift.reference import LENGTH, UNKNOWN_WORDS, Reference, load_reference
from inference.drift.stability_index import bound_by_chance, contributions
from inference.models import Deployment, RequestLog
from inference.requests.rows import asks_for_embeddings

WINDOW = timedelta(days=7)
MAX_REQUESTS = 2_000  # The newest.
MODERATE, LARGE = 0.1, 0.25  # Of the index, as in credit scoring.
CHANCE = 0.01  # That one of all measures of an endpoint exceeds its bound without drift.
Measure = Literal["feature", "text_length", "unknown_words", "answer"]
Verdict = Literal["steady", "moderate", "large", "too_few"]


@dataclass(frozen=True)
class Shift:
    """One measure: its population stability index, and what chance alone would reach. `feature` is
    a column's name where `about` says so."""

    about: Measure
    feature: str
    bins: Bins
    counts: Sequence[int]
    chance: float

    @cached_property
    def _contributions(self) -> list[float]:
        return contributions(self.bins.counts, self.counts)

    @property
    def index(self) -> float:
        return sum(self._contributions)

    @cached_property
    def by_chance(self) -> float:
        return bound_by_chance(self.bins.counts, self.counts, self.chance)

    @property
    def rows(self) -> int:
        return sum(self.counts)

    @property
    def verdict(self) -> Verdict:
        if self.index > max(LARGE, self.by_chance):
            return "large"
        if self.index > max(MODERATE, self.by_chance):
            return "moderate"
        return "too_few" if self.by_chance > LARGE else "steady"

    @cached_property
    def _most_moved(self) -> int:
        """Of the bins that grew, the one that adds most, as what is new says most."""
        grew = [
            place
            for place in range(len(self.counts))
            if _share(self.counts, place) > _share(self.bins.counts, place)
        ]
        return max(grew, key=self._contributions.__getitem__, default=0)

    @property
    def bin(self) -> BinName:
        return self.bins.name(self._most_moved)

    @property
    def share_before(self) -> float:
        return _share(self.bins.counts, self._most_moved)

    @property
    def share_now(self) -> float:
        return _share(self.counts, self._most_moved)


def _share(counts: Sequence[int], place: int) -> float:
    return counts[place] / max(1, sum(counts))


@dataclass(frozen=True)
class Drift:
    """The largest shift first. `requests` were compared; of pictures and of generated texts some
    measures are missing."""

    requests: int
    shifts: list[Shift]

    @property
    def verdict(self) -> Verdict:
        """The worst of all shifts."""
        verdicts = [shift.verdict for shift in self.shifts]
        order: tuple[Verdict, ...] = ("large", "moderate", "steady")
        return next((verdict for verdict in order if verdict in verdicts), "too_few")


def measure_drift(deployment: Deployment) -> Drift:
    """Requests that the deployed model answered since it was deployed, at most a week ago."""
    logged = RequestLog.objects.filter(
        deployment=deployment,
        model_key=deployment.model_id,
        status=200,
        at__gte=max(now() - WINDOW, deployment.changed_at),
    )
    newest = logged.order_by("-at").only("rows", "inputs", "answers", "asked")
    requests = [one for one in newest[:MAX_REQUESTS] if not asks_for_embeddings(one)]
    if not requests:
        return Drift(0, [])
    manifest = deployment.model.manifest
    if not {"inputs", "target"} <= manifest.keys():  # Of a model that is older than manifests.
        return Drift(len(requests), [])
    reference = load_reference(deployment.model)
    measured = _measure_inputs(requests, Inputs.model_validate(manifest["inputs"]), reference)
    if reference.answers is not None:
        answers = _answers(requests, Target.model_validate(manifest["target"]))
        measured.append(("answer", "", reference.answers, answers))
    shifts = [
        Shift(about, feature, bins, bins.count(values), CHANCE / len(measured))
        for about, feature, bins, values in measured
        if values and sum(bins.counts)
    ]
    return Drift(len(requests), sorted(shifts, key=lambda shift: -shift.index))


def _measure_inputs(
    requests: Sequence[RequestLog], inputs: Inputs, reference: Reference
) -> list[tuple[Measure, str, Bins, Sequence[Value]]]:
    """What is compared, the reference's bins, and the requests' values."""
    if inputs.kind == "image":  # The log keeps too few pictures.
        return []
    rows = [row for request in requests for row in _logged_rows(request)]
    if inputs.kind == "features":
        tables = [cells for row in rows if (cells := cells_of(row)) is not None]
        readers = [(feature.name, cell_reader(feature)) for feature in inputs.features]
        return [
            ("feature", name, reference.inputs[name], [read(cells.get(name)) for cells in tables])
            for name, read in readers
        ]
    texts = [text for row in rows if (text := text_of(row, inputs)) is not None]
    share_unknown = reference.share_unknown()
    shares = [share_unknown(text) for text in texts]
    return [
        ("text_length", "", reference.inputs[LENGTH], [len(text) for text in texts]),
        ("unknown_words", "", reference.inputs[UNKNOWN_WORDS], shares),
    ]


def _logged_rows(request: RequestLog) -> list[object]:
    return [request.asked] if request.asked is not None else list(request.inputs)


def _answers(requests: Sequence[RequestLog], target: Target) -> list[Value]:
    """Without those of rows that could not be read."""
    answers = [answer for request in requests for answer in request.answers if answer]
    is_number = target.kind == "number"
    return [float(answer) for answer in answers] if is_number else answers
