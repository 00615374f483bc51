"""Which contender becomes the model. Cheap ones are compared by folds of all rows that they may
learn from, where these are few; the best of them and the trained network by the validation rows."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.data.baselines import Probe
from engine.evaluation import Contender
from engine.events import Reporter
from engine.loop.device import Device
from engine.prediction_heads import PredictionHead
from engine.prediction_heads.interface import Outputs, Rows
from engine.tasks.text.contenders.ngram_contender import NgramContender
from engine.tasks.text.embeddings import predict
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.network import TextNetwork
from engine.tasks.text.prepare import PreparedTexts

SIGNIFICANCE_LEVEL = 0.05
TUNED, PROBE, NGRAMS = "tuned", "probe", "ngrams"
# Whoever names another method gets it, unless a contender is better by more than chance.
AUTOMATIC_METHODS = ("auto", "probe")
# Of n-grams over an encoder in folds: less is chance, and the encoder knows words the rows lack.
MIN_LEAD = 0.01
QUALITY_NAMES = {"label": "accuracy", "labels": "micro F1", "number": "R²"}


@dataclass
class Candidate:
    """A fitted model: its outputs of any rows, and a head with thresholds of its own."""

    id: str
    name: str
    outputs: Callable[[Rows], Outputs]
    head: PredictionHead
    validation_outputs: Outputs

    def quality(self, rows: Rows) -> float:
        return self.head.quality(self.validation_outputs, rows)


@dataclass
class CheapModels:
    """What is fitted within seconds, and again where more rows may be learnt from. The probe's
    quality is None where folds did not measure it."""

    probe: Probe
    ngrams: NgramContender | None
    probe_quality: float | None = None

    @property
    def folded_qualities(self) -> dict[str, float]:
        """By the candidates' ids, where folds measured them all."""
        ngrams_quality = self.ngrams.folded_quality if self.ngrams else None
        if self.probe_quality is None or ngrams_quality is None:
            return {}
        return {PROBE: self.probe_quality, NGRAMS: ngrams_quality}


@dataclass
class Selection:
    """The id of the candidate to keep, why it is not the first one, and the others."""

    kept: str
    reason: str
    others: list[Candidate]

    def answer_test_rows(self, test: Rows) -> list[Contender]:
        """The answers of the others as they are now."""
        return [
            Contender(one.id, one.name, one.head.build_predictions(one.outputs(test), test))
            for one in self.others
        ]


def select_model(
    prepared: PreparedTexts,
    network: TextNetwork,
    features: Features,
    cheap: CheapModels,
    report: Reporter,
) -> Selection:
    """Compare the trained network with the probe and the n-grams, and take the kept one's
    thresholds."""
    candidates = _list_candidates(prepared, network, features, cheap)
    kept, reason = candidates[0], ""
    if len(prepared.split.validation):
        kept, reason = _choose(prepared, candidates, cheap.folded_qualities)
        prepared.prediction_head.fit_thresholds(kept.validation_outputs, prepared.split.validation)
    if reason:
        report.info(reason)
    return Selection(kept.id, reason, [one for one in candidates if one is not kept])


def _list_candidates(
    prepared: PreparedTexts,
    network: TextNetwork,
    features: Features,
    cheap: CheapModels,
) -> list[Candidate]:
    """What the job's method trained comes first."""
    on_cpu = replace(prepared, device=Device("cpu", prepared.device.precision))

    def outputs_of_network(rows: Rows) -> Outputs:
        return predict(on_cpu, network, rows)

    def outputs_of_probe(rows: Rows) -> Outputs:
        return cheap.probe.outputs(features.select_rows(rows))

    def outputs_of_ngrams(rows: Rows) -> Outputs:
        assert cheap.ngrams is not None
        return cheap.ngrams.outputs(rows)

    candidates = []
    if prepared.method == "probe":  # The network is the probe; its features lack the test rows.
        candidates.append(
            _make(prepared, PROBE, "the frozen encoder with a linear layer", outputs_of_network)
        )
    else:
        candidates.append(_make(prepared, TUNED, "the fine-tuned encoder", outputs_of_network))
        if prepared.base_folder is not None:
            candidates.append(
                _make(prepared, PROBE, "the frozen encoder with a linear layer", outputs_of_probe)
            )
    if cheap.ngrams is not None:
        name = f"a {cheap.ngrams.name}"
        candidates.append(_make(prepared, NGRAMS, name, outputs_of_ngrams))
    return candidates


def _make(
    prepared: PreparedTexts, id: str, name: str, outputs: Callable[[Rows], Outputs]
) -> Candidate:
    validation, head = prepared.split.validation, copy.copy(prepared.prediction_head)
    validation_outputs = outputs(validation)
    head.fit_thresholds(validation_outputs, validation)
    return Candidate(id, name, outputs, head, validation_outputs)


def _choose(
    prepared: PreparedTexts, candidates: list[Candidate], folded: dict[str, float]
) -> tuple[Candidate, str]:
    """The best, the first one among equals. Of those in `folded` only the best one is left."""
    validation, first = prepared.split.validation, candidates[0]
    is_automatic = prepared.spec.hyperparameters.method in AUTOMATIC_METHODS
    if folded:
        by_id = {one.id: one for one in candidates}
        is_lead = folded[NGRAMS] > folded[PROBE] + MIN_LEAD
        best_of_cheap = by_id[NGRAMS if is_lead else PROBE]
        if first.id in folded:
            return _keep_by_folds(prepared, first, best_of_cheap, folded)
        if is_automatic and _are_ngrams_ahead(by_id, folded, validation):
            return by_id[NGRAMS], _explain_ngrams(prepared, by_id, folded)
        candidates = [first, by_id[PROBE] if is_automatic else best_of_cheap]
    best = max(candidates, key=lambda candidate: candidate.quality(validation))
    if best is first:
        return first, ""
    if not is_automatic:
        p_value = best.head.p_value_against_probe(
            first.validation_outputs, best.validation_outputs, validation
        )
        if p_value >= SIGNIFICANCE_LEVEL:
            return first, ""
    # Named for the translation, which finds these values again in the sentence.
    measure_words = QUALITY_NAMES[prepared.examples.truth.kind]
    best_words, first_words = best.name, first.name
    number_rows, number_best = f"{len(validation):,}", f"{best.quality(validation):.1%}"
    number_first = f"{first.quality(validation):.1%}"
    return best, (
        f"On the {'1 validation row' if len(validation) == 1 else f'{number_rows} validation rows'}"
        f" {best_words} reached {measure_words} {number_best}"
        f" and {first_words} {number_first}, so {best_words} became the model."
    )


def _are_ngrams_ahead(
    by_id: dict[str, Candidate], folded: dict[str, float], validation: Rows
) -> bool:
    """Whether n-grams lead the probe by more than the trained network, for which folds take too
    long, leads it on the validation rows, and are ahead of the network there, too."""
    tuned, probe, ngrams = (by_id[id].quality(validation) for id in (TUNED, PROBE, NGRAMS))
    lead = folded[NGRAMS] - folded[PROBE]
    return ngrams > tuned and lead > max(0.0, tuned - probe) + MIN_LEAD


def _explain_ngrams(
    prepared: PreparedTexts, by_id: dict[str, Candidate], folded: dict[str, float]
) -> str:
    measure_words = QUALITY_NAMES[prepared.examples.truth.kind]
    best_words, probe_words, tuned_words = (by_id[id].name for id in (NGRAMS, PROBE, TUNED))
    number_rows, number_best = f"{len(prepared.learnt_rows):,}", f"{folded[NGRAMS]:.1%}"
    number_probe = f"{folded[PROBE]:.1%}"
    return (
        f"In folds of {number_rows} rows {best_words} reached {measure_words} {number_best} and"
        f" {probe_words} {number_probe}; on the validation rows {tuned_words} is not so far ahead"
        f" of the latter, so {best_words} became the model."
    )


def _keep_by_folds(
    prepared: PreparedTexts, first: Candidate, best: Candidate, folded: dict[str, float]
) -> tuple[Candidate, str]:
    if best is first:
        return first, ""
    measure_words = QUALITY_NAMES[prepared.examples.truth.kind]
    best_words, first_words = best.name, first.name
    number_rows, number_best = f"{len(prepared.learnt_rows):,}", f"{folded[best.id]:.1%}"
    number_first = f"{folded[first.id]:.1%}"
    return best, (
        f"In folds of {number_rows} rows"
        f" {best_words} reached {measure_words} {number_best}"
        f" and {first_words} {number_first}, so {best_words} became the model."
    )
