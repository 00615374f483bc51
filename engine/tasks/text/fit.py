"""Fits a text model: the quick probe first, then the chosen method, then the better of the two."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
import torch

from engine.data import baselines
from engine.data.baselines import Probe
from engine.data.label_issues import LabelExamination
from engine.data.learning_curve import LearningCurve
from engine.evaluation import Contender
from engine.events import Reporter
from engine.loop.checkpoints import TrainingState, fingerprint
from engine.loop.device import Device
from engine.loop.training_loop import run_training_loop
from engine.prediction_heads.interface import Outputs
from engine.progress import ProgressTracker
from engine.stop_signal import StopSignal
from engine.tasks.shared import Rows
from engine.tasks.text.contenders.folds import measure_by_folds
from engine.tasks.text.contenders.label_names import add_label_names
from engine.tasks.text.contenders.ngram_contender import NgramContender, fit_ngram_contender
from engine.tasks.text.contenders.selection import NGRAMS, PROBE, CheapModels, select_model
from engine.tasks.text.embeddings import embed, predict
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.label_examination import (
    examine_text_labels,
    leave_out_suspects,
    measure_text_curve,
)
from engine.tasks.text.learner import FitData, build_learner, measure_adversarial_quality
from engine.tasks.text.network import TextNetwork
from engine.tasks.text.prepare import PreparedTexts
from engine.tasks.text.training_inputs.augmented_rows import measure_augmented_quality


@dataclass
class FittedTexts:
    """The model to export, and how it was trained."""

    network: TextNetwork
    method: str  # full, upper, lora, head or probe: what `network` is; ngrams: what `ngrams` is.
    reason: str
    state: TrainingState
    seconds: float
    features: Features
    ngrams: NgramContender | None = None  # Where they were kept.
    ngram_contender: NgramContender | None = None  # Kept or not.
    rivals: list[Contender] = field(default_factory=list)  # What was not kept.
    folds: list[dict[str, float]] = field(default_factory=list)
    examination: LabelExamination | None = None  # Of the labels of `examined_rows`.
    examined_rows: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    curve: LearningCurve | None = None
    # Quality on attacked rows before adversarial training.
    adversarial_quality_before: float | None = None
    # Quality on augmented validation rows: of the quick probe, and after training.
    augmented_quality: tuple[float | None, float | None] = (None, None)


def fit(
    prepared: PreparedTexts, progress: ProgressTracker, report: Reporter, stop: StopSignal
) -> FittedTexts:
    """Fit the cheap contenders, train by the chosen method unless that is one, keep the best."""
    started_at = time.monotonic()
    split, network = prepared.split, prepared.create_network().to(prepared.device.name)
    data = FitData(network, prepared.prediction_head, split.train, split.validation)
    sample = baselines.sample_training_rows(split.train, prepared.spec.split.seed)
    features = embed(prepared, network, _rows_to_embed(prepared, sample), progress.advance)
    examined, examination = sample, examine_text_labels(prepared, features, sample)
    if examination is not None and examination.is_better_without:
        sample = leave_out_suspects(prepared, examination, sample)
        data = FitData(network, prepared.prediction_head, prepared.split.train, split.validation)
    probe = fit_named_probe(prepared, lambda: network, features, sample)
    _report_probe(prepared, probe, features, report)
    if prepared.method == "probe":
        init_head_from_probe(network, probe)
        state, seconds = TrainingState(finished=True), time.monotonic() - started_at
        trained = FittedTexts(network, "probe", "", state, seconds, features)
    else:
        if prepared.base_folder is not None:
            init_head_from_probe(network, probe)
        quality_before = measure_adversarial_quality(prepared, data)
        is_informed = prepared.base_folder is not None  # From scratch there is no probe.
        augmented_before = measure_augmented_quality(prepared, network) if is_informed else None
        state = train_network(prepared, data, features, progress, report, stop)
        trained = FittedTexts(network, prepared.method, "", state, state.seconds, features)
        trained.adversarial_quality_before = quality_before
        augmented_after = measure_augmented_quality(prepared, network)
        trained.augmented_quality = (augmented_before, augmented_after)
    trained.examination = examination
    trained.examined_rows = examined
    trained.curve = measure_text_curve(prepared, features, sample)
    trained.network.to("cpu").eval()
    if prepared.spec.hyperparameters.contenders:
        _keep_best(prepared, trained, probe, report)
    elif prepared.prediction_head.has_thresholds and len(split.validation):
        on_cpu = replace(prepared, device=Device("cpu"))
        outputs = predict(on_cpu, trained.network, split.validation)
        prepared.prediction_head.fit_thresholds(outputs, split.validation)
    return trained


def fit_named_probe(
    prepared: PreparedTexts, load: Callable[[], TextNetwork], features: Features, rows: Rows
) -> Probe:
    """With the names of the labels where they help; `load` gives an untrained network."""
    sample = baselines.sample_training_rows(rows, prepared.spec.split.seed)
    probe = prepared.prediction_head.fit_probe(features.select_rows(sample), sample)
    return add_label_names(prepared, load, features, sample, probe)


def _keep_best(
    prepared: PreparedTexts, trained: FittedTexts, probe: Probe, report: Reporter
) -> None:
    """Keep what answers validation rows best. Cheap models learn these rows, too, from then on."""
    features = trained.features
    cheap = CheapModels(probe, fit_ngram_contender(prepared))
    if cheap.ngrams is not None and prepared.base_folder is not None:
        load = cache(partial(load_untrained, prepared))
        cheap.probe_quality = measure_by_folds(
            prepared, partial(_fit_to_answer, prepared, load, features)
        )
    selection = select_model(prepared, trained.network, features, cheap, report)
    if len(prepared.learnt_rows) > len(prepared.split.train):
        _fit_cheap_again(prepared, features, cheap)
    if trained.method == PROBE:
        init_head_from_probe(trained.network, cheap.probe)
    trained.reason, trained.ngram_contender = selection.reason, cheap.ngrams
    trained.rivals = selection.answer_test_rows(prepared.split.test)
    if selection.kept == NGRAMS:
        trained.method, trained.ngrams = NGRAMS, cheap.ngrams
    elif selection.kept == PROBE and trained.method != PROBE:
        trained.method, trained.network = PROBE, prepared.create_network().eval()
        init_head_from_probe(trained.network, cheap.probe)


def _fit_to_answer(
    prepared: PreparedTexts, load: Callable[[], TextNetwork], features: Features, rows: Rows
) -> Callable[[Rows], Outputs]:
    probe = fit_named_probe(prepared, load, features, rows)
    return lambda others: probe.outputs(features.select_rows(others))


def load_untrained(prepared: PreparedTexts) -> TextNetwork:
    return prepared.create_network().to(prepared.device.name)


def _fit_cheap_again(prepared: PreparedTexts, features: Features, cheap: CheapModels) -> None:
    rows = prepared.learnt_rows
    if prepared.base_folder is not None:
        load = partial(load_untrained, prepared)
        cheap.probe = fit_named_probe(prepared, load, features, rows)
    if cheap.ngrams is not None:
        cheap.ngrams = cheap.ngrams.refit(prepared.prediction_head, rows)


def _rows_to_embed(prepared: PreparedTexts, sample: Rows) -> Rows:
    split = prepared.split
    needs_all = prepared.method == "head" or prepared.spec.hyperparameters.folds
    parts = [split.train if needs_all else sample, split.validation]
    if prepared.method != "probe":  # Else the served file predicts the test rows.
        parts.append(split.test)
    return np.concatenate(parts)


def _report_probe(
    prepared: PreparedTexts, probe: Probe, features: Features, report: Reporter
) -> None:
    rows, head = prepared.split.validation, prepared.prediction_head
    if len(rows) and prepared.base_folder is not None:
        metrics = head.validation(probe.outputs(features.select_rows(rows)), rows)
        report.info(f"Quick probe of the frozen base model: {head.summary(metrics)}")


def train_network(
    prepared: PreparedTexts,
    data: FitData,
    features: Features,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
    *,
    fold: int | None = None,
) -> TrainingState:
    """Run the loop, from the checkpoint in the spec if it fits this job; folds never resume."""
    spec, rows = prepared.spec, prepared.rows
    learner, restore = build_learner(prepared, data, features)
    state = run_training_loop(
        learner,
        spec,
        epochs=prepared.epochs,
        identity=fingerprint(  # Of the data and of every setting that a step depends on.
            spec.base_model,
            spec.hyperparameters.model_dump(exclude={"folds"}),
            spec.effective_split.model_dump(),
            prepared.examples.label_names,
            fingerprint([ids.tolist() for ids in rows.ids[:1000]], len(rows.ids)),
        ),
        device=prepared.device,
        clock=progress,
        report=report,
        stop=stop,
        fold=fold,
    )
    restore()
    data.network.to("cpu")
    return state


def init_head_from_probe(network: TextNetwork, probe: Probe) -> None:
    """Use the probe as linear layer: one epoch from there gets as far as two from nothing."""
    network.normalise = True
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(probe.weights))
        network.head.bias.copy_(torch.from_numpy(probe.bias))
