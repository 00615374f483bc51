"""Training state on disk: folders that are complete when their manifest exists.

Each folder is sufficient to resume: besides the newest weights it holds the best ones so far, as a
hard link where the file system allows it.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.artifact import hash_file

MANIFEST_FILE = "manifest.json"
NETWORK_FILE, BEST_FILE, OPTIMIZER_FILE = "network.safetensors", "best.safetensors", "optimizer.pt"


@dataclass
class TrainingState:
    """Where training stands. `steps_into_epoch` counts finished steps of the current epoch."""

    step: int = 0
    epoch: int = 0
    steps_into_epoch: int = 0
    finished: bool = False
    best_epoch: int = -1
    best_step: int = -1
    best_metrics: dict[str, float] = field(default_factory=dict)
    last_metrics: dict[str, float] = field(default_factory=dict)
    epochs_without_gain: int = 0
    loss_sum: float = 0.0  # Training loss since it was last reported.
    loss_steps: int = 0
    rows_seen: int = 0
    seconds: float = 0.0  # Spent in training, over all attempts.
    halvings: int = 0  # Batches are computed in 2^n pieces.


@dataclass(frozen=True)
class SavedCheckpoint:
    state: TrainingState
    network: dict[str, Tensor]
    best: dict[str, Tensor] | None
    optimizer: dict[str, Any]  # Also the random state and the loss scale.


class CheckpointFolder:
    """Writes checkpoints under one root and keeps only the newest and the best."""

    def __init__(self, root: Path, fingerprint: str) -> None:
        self.root = root
        self._fingerprint = fingerprint
        self._best_file: Path | None = None
        self._best_folder: Path | None = None
        root.mkdir(parents=True, exist_ok=True)

    def save(
        self,
        state: TrainingState,
        network: dict[str, Tensor],
        optimizer: dict[str, Any],
        *,
        is_best: bool,
    ) -> Path:
        folder = self.root / f"step-{state.step:06d}"
        building = self.root / f".building-{folder.name}-{os.getpid()}"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        save_file(
            {name: tensor.contiguous() for name, tensor in network.items()}, building / NETWORK_FILE
        )
        torch.save(optimizer, building / OPTIMIZER_FILE)
        if is_best:
            _link_or_copy(building / NETWORK_FILE, building / BEST_FILE)
        elif self._best_file is not None:
            _link_or_copy(self._best_file, building / BEST_FILE)
        manifest = {
            "format": 1,
            "fingerprint": self._fingerprint,
            "state": asdict(state),
            "files": {
                path.name: hash_file(path).model_dump() for path in sorted(building.iterdir())
            },
        }
        (building / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2))
        self._move_into_place(building, folder)
        if is_best:
            self._best_folder = folder
        if (folder / BEST_FILE).exists():
            self._best_file = folder / BEST_FILE
        for path in self.root.iterdir():
            if path not in (folder, self._best_folder):
                shutil.rmtree(path, ignore_errors=True)
        return folder

    def _move_into_place(self, building: Path, folder: Path) -> None:
        if folder.exists():
            replaced = self.root / f".replaced-{folder.name}-{os.getpid()}"
            folder.rename(replaced)
            building.rename(folder)
            shutil.rmtree(replaced, ignore_errors=True)
        else:
            building.rename(folder)

    def load(self, folder: Path) -> SavedCheckpoint | None:
        """What was saved there; None if it is incomplete, altered or of another job."""
        try:
            manifest = json.loads((folder / MANIFEST_FILE).read_text())
            is_intact = manifest["fingerprint"] == self._fingerprint and all(
                hash_file(folder / name).sha256 == stored["sha256"]
                for name, stored in manifest["files"].items()
            )
            if not is_intact:
                return None
            state = TrainingState(**manifest["state"])
            best = load_file(folder / BEST_FILE) if (folder / BEST_FILE).exists() else None
            saved = SavedCheckpoint(
                state=state,
                network=load_file(folder / NETWORK_FILE),
                best=best,
                optimizer=torch.load(folder / OPTIMIZER_FILE, weights_only=True),
            )
            self._best_file = self._keep_link_to_best(folder / BEST_FILE) if best else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self._best_folder = self.root / f"step-{state.best_step:06d}"
        return saved

    def _keep_link_to_best(self, best: Path) -> Path:
        """Link the best weights, because their folder may be deleted before the next save."""
        target = self.root / ".best" / BEST_FILE
        if best.resolve() != target.resolve():
            target.parent.mkdir(exist_ok=True)
            target.unlink(missing_ok=True)
            _link_or_copy(best, target)
        return target


def fingerprint(*parts: object) -> str:
    """A short hash telling whether a checkpoint belongs to this data and these settings."""
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:32]


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
