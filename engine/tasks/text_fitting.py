"""Fits a text model: the quick probe first, then the chosen method, then the better of the two."""

import copy
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from engine import baselines
from engine.baselines import Probe
from engine.checkpoints import TrainingState, fingerprint
from engine.device import Device
from engine.evaluation.rows import Given
from engine.events import Reporter
from engine.goals.outline import Rows
from engine.network import TextNetwork
from engine.progress import JobClock
from engine.stopping import StopSignal
from engine.tasks.text_embedding import Features, embed, predict
from engine.tasks.text_learning import Lesson, attacked_quality, open_for
from engine.tasks.text_preparation import Prepared
from engine.training import learn

SURE = 0.05


@dataclass
class Trained:
    """The network to export, and what the report says about how it came about."""

    network: TextNetwork
    method: str  # full, lora, head or probe: what `network` is.
    reason: str
    probe_answers: Given | None  # On the test rows; None where there is no base to probe.
    state: TrainingState
    seconds: float
    features: Features
    folds: list[dict[str, float]] = field(default_factory=list)
    attacked_before: float | None = None  # Quality under attack before adversarial training.


def fit(prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal) -> Trained:
    """Fit the probe, teach by the chosen method unless that is all, keep the better."""
    started_at = time.monotonic()
    divided, network = prepared.split, prepared.new_network().to(prepared.device.name)
    lesson = Lesson(network, prepared.goal, divided.train, divided.validation)
    sample = baselines.sample_rows(divided.train, prepared.spec.split.seed)
    features = embed(prepared, network, _rows_to_embed(prepared, sample), clock.advance)
    probe = prepared.goal.fit_probe(features.of(sample), sample)
    _tell(prepared, probe, features, report)
    if prepared.method == "probe":
        start_from_probe(network, probe)
        state, seconds = TrainingState(finished=True), time.monotonic() - started_at
        trained = Trained(network, "probe", "", None, state, seconds, features)
    else:
        if prepared.base_folder is not None:
            start_from_probe(network, probe)
        attacked_before = attacked_quality(prepared, lesson)
        state = teach(prepared, lesson, features, clock, report, stop)
        trained = Trained(network, prepared.method, "", None, state, state.seconds, features)
        trained.attacked_before = attacked_before
        _keep_the_better(prepared, trained, probe, report)
    trained.network.to("cpu").eval()
    _settle(prepared, trained, probe)
    return trained


def _rows_to_embed(prepared: Prepared, sample: Rows) -> Rows:
    divided = prepared.split
    needs_all = prepared.method == "head" or prepared.spec.hyperparameters.folds
    parts = [divided.train if needs_all else sample, divided.validation]
    if prepared.method != "probe":  # Else what is served answers the test rows.
        parts.append(divided.test)
    return np.concatenate(parts)


def _tell(prepared: Prepared, probe: Probe, features: Features, report: Reporter) -> None:
    rows = prepared.split.validation
    if len(rows) and prepared.base_folder is not None:
        found = prepared.goal.validation(probe.outputs(features.of(rows)), rows)
        report.info(f"Quick probe of the frozen base model: {prepared.goal.summary(found)}")


def _settle(prepared: Prepared, trained: Trained, probe: Probe) -> None:
    """Choose thresholds for the model, and fairly for the probe beside it."""
    goal, divided, features = prepared.goal, prepared.split, trained.features
    if trained.method != "probe" and prepared.base_folder is not None:
        own = copy.copy(goal)
        own.settle(probe.outputs(features.of(divided.validation)), divided.validation)
        on_test = probe.outputs(features.of(divided.test))
        trained.probe_answers = own.answers(on_test, divided.test)
    if goal.settles and len(divided.validation):
        on_cpu = replace(prepared, device=Device("cpu"))
        goal.settle(predict(on_cpu, trained.network, divided.validation), divided.validation)


def teach(
    prepared: Prepared,
    lesson: Lesson,
    features: Features,
    clock: JobClock,
    report: Reporter,
    stop: StopSignal,
    *,
    fold: int | None = None,
) -> TrainingState:
    """Run the loop, from the checkpoint in the spec if it fits this job; folds never resume."""
    spec = prepared.spec
    learner, close = open_for(prepared, lesson, features)
    state = learn(
        learner,
        spec,
        epochs=prepared.epochs,
        identity=_identity(prepared),
        device=prepared.device,
        clock=clock,
        report=report,
        stop=stop,
        fold=fold,
    )
    close()
    lesson.network.to("cpu")
    return state


def _identity(prepared: Prepared) -> str:
    """Of the data and of every setting that a step depends on."""
    spec, rows = prepared.spec, prepared.rows
    return fingerprint(
        spec.base_model,
        spec.hyperparameters.model_dump(exclude={"folds"}),
        spec.split.model_dump(),
        prepared.examples.label_names,
        fingerprint([ids.tolist() for ids in rows.ids[:1000]], len(rows.ids)),
    )


def start_from_probe(network: TextNetwork, probe: Probe) -> None:
    """Take the probe as linear layer. From there one epoch gets as far as two from nothing."""
    network.normalise = True
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(probe.weights))
        network.head.bias.copy_(torch.from_numpy(probe.bias))


def _keep_the_better(prepared: Prepared, trained: Trained, probe: Probe, report: Reporter) -> None:
    """The tuned model, unless the probe beats it on validation by more than chance."""
    validation, goal = prepared.split.validation, prepared.goal
    if not len(validation) or prepared.base_folder is None:
        return
    on_cpu = replace(prepared, device=Device("cpu", prepared.device.precision))
    tuned = predict(on_cpu, trained.network, validation)
    probed = probe.outputs(trained.features.of(validation))
    p_value = goal.p_value_of_loss(tuned, probed, validation)
    if p_value >= SURE:
        return
    trained.network = prepared.new_network()
    start_from_probe(trained.network, probe)
    trained.method = "probe"
    trained.reason = (
        "Fine-tuning did worse than the quick probe on validation rows"
        f" (p = {p_value:.3f}), so the probe was kept."
    )
    report.warn(trained.reason)


def about_folds(folds: list[dict[str, float]]) -> dict[str, Any]:
    """Mean and sample deviation of every metric over the folds."""
    names = folds[0] if folds else {}
    values = {name: [fold[name] for fold in folds] for name in names}
    return {
        "folds": len(folds),
        "method": "stratified folds, equal texts kept together; mean and sample deviation",
        "metrics": {
            name: {"mean": float(np.mean(own)), "deviation": float(np.std(own, ddof=1))}
            | {"values": own}
            for name, own in values.items()
        },
    }
