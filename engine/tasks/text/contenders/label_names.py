"""What labels are called, as knowledge for few rows: a text near a label's name likely has it.

The name's embedding is added to the label's weights in the probe, so that the model stays one
linear layer and is exported, explained and served as before. How much it counts is chosen by
cross-validation; with nothing to gain it counts nothing.
"""

import re
from collections.abc import Callable

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch.nn import functional

from engine.data import baselines
from engine.data.baselines import Probe
from engine.prediction_heads.interface import Outputs, Rows
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.network import TextNetwork
from engine.tasks.text.prepare import PreparedTexts

MAX_ROWS_PER_LABEL = 16  # With more the rows themselves say what a name could.
MAX_LABELS = 200
STRENGTHS = (0.0, 2.0, 5.0, 10.0, 20.0)
FOLDS = 3


def add_label_names(
    prepared: PreparedTexts,
    load: Callable[[], TextNetwork],
    features: Features,
    sample: Rows,
    probe: Probe,
) -> Probe:
    """The probe, with the names of the labels where cross-validation is better for them; `load`
    gives a network that is not trained yet."""
    truth = prepared.examples.truth
    if truth.kind != "label" or prepared.base_folder is None:
        return probe
    labels = np.asarray(truth.values[sample], dtype=np.int64)
    counts = np.bincount(labels, minlength=len(truth.label_names))
    is_few = len(sample) <= MAX_ROWS_PER_LABEL * len(counts) and len(counts) <= MAX_LABELS
    if not is_few or counts.min() < FOLDS:
        return probe
    names = embed_names(prepared, load(), truth.label_names)
    embeddings = features.select_rows(sample)
    strength = _choose_strength(embeddings, labels, names)
    if not strength:
        return probe
    return Probe(probe.weights + np.float32(strength) * names, probe.bias, probe.rows)


def embed_names(prepared: PreparedTexts, network: TextNetwork, names: list[str]) -> Outputs:
    """Unit-length embeddings (labels, hidden), less their mean, which says nothing about any."""
    network.eval()
    rows = []
    for name in names:
        words = re.sub(r"[_\-./|]+|(?<=[a-z])(?=[A-Z])", " ", name)
        ids = torch.tensor([prepared.tokenizer.encode(words).ids], device=prepared.device.name)
        with torch.inference_mode():
            states = network.embed(ids, torch.ones_like(ids)).float()
        rows.append(functional.normalize(states, dim=-1)[0].cpu().numpy())
    embeddings = np.stack(rows)
    return np.asarray(embeddings - embeddings.mean(0), dtype=np.float32)


def _choose_strength(embeddings: Outputs, labels: Rows, names: Outputs) -> float:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    right = dict.fromkeys(STRENGTHS, 0)
    for train, held_out in folds.split(embeddings, labels):
        probe = baselines.fit_probe(
            embeddings[train], labels[train], len(names), strength=baselines.PROBE_C
        )
        outputs, likeness = probe.outputs(embeddings[held_out]), embeddings[held_out] @ names.T
        for strength in STRENGTHS:
            answers = (outputs + strength * likeness).argmax(1)
            right[strength] += int((answers == labels[held_out]).sum())
    return max(STRENGTHS, key=lambda strength: (right[strength], -strength))
