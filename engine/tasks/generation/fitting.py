"""Fits a language model by the training loop: to answers, or to preferences between two."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.events import Reporter
from engine.loop.checkpoints import TrainingState, fingerprint
from engine.loop.training_loop import run_training_loop
from engine.progress import ProgressTracker
from engine.stop_signal import StopSignal
from engine.tasks.generation.learner import GenerationLearner
from engine.tasks.generation.preferences import PreferenceLearner
from engine.tasks.generation.prepare import PreparedChats, sequence_lengths


@dataclass
class FittedChats:
    """The network as it was trained: under LoRA with its added matrices still beside it."""

    network: Any
    method: str
    state: TrainingState
    seconds: float
    reason: str = ""


def fit(
    prepared: PreparedChats, progress: ProgressTracker, report: Reporter, stop: StopSignal
) -> FittedChats:
    """Train by the loop, from the checkpoint in the spec if it fits this job."""
    spec = prepared.spec
    kind = PreferenceLearner if spec.is_preference else GenerationLearner
    learner = kind(prepared)
    train = prepared.sequences(prepared.split.train)
    identity = fingerprint(
        spec.base_model,
        spec.hyperparameters.model_dump(),
        spec.effective_split.model_dump(),
        prepared.max_length,
        int(sequence_lengths(train).sum()),
        len(prepared.chats.chats),
    )
    if spec.resume_from is None and (before := learner.validate(_stop_checks(stop))):
        report.info(f"Before training: {learner.summary(before)}")
    state = run_training_loop(
        learner,
        spec,
        epochs=prepared.epochs,
        identity=identity,
        device=prepared.device,
        clock=progress,
        report=report,
        stop=stop,
    )
    return FittedChats(learner.network.eval(), prepared.method, state, state.seconds)


def _stop_checks(stop: StopSignal) -> Iterable[None]:
    """For loops outside the training loop, which checks by itself."""
    while True:
        stop.raise_if_requested()
        yield
