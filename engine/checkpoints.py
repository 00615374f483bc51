"""Training state on disk: folders that are complete when their manifest exists.

Each folder stands alone: besides the newest weights it holds the best ones so far, as a hard link
where the disk allows, so that any worker can go on from the one folder it was handed.
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

MANIFEST = "manifest.json"
NETWORK, BEST, OPTIMIZER = "network.safetensors", "best.safetensors", "optimizer.pt"


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
class Saved:
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
            {name: tensor.contiguous() for name, tensor in network.items()}, building / NETWORK
        )
        torch.save(optimizer, building / OPTIMIZER)
        if is_best:
            _link_or_copy(building / NETWORK, building / BEST)
        elif self._best_file is not None:
            _link_or_copy(self._best_file, building / BEST)
        self._write_manifest(building, state)
        self._replace(building, folder)
        if is_best:
            self._best_folder = folder
        if (folder / BEST).exists():
            self._best_file = folder / BEST
        self._remove_all_but({folder, self._best_folder})
        return folder

    def _write_manifest(self, building: Path, state: TrainingState) -> None:
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in sorted(building.iterdir())
        }
        manifest = {
            "format": 1,
            "fingerprint": self._fingerprint,
            "state": asdict(state),
            "files": files,
        }
        (building / MANIFEST).write_text(json.dumps(manifest, indent=2))

    def _replace(self, building: Path, folder: Path) -> None:
        if folder.exists():
            replaced = self.root / f".replaced-{folder.name}-{os.getpid()}"
            folder.rename(replaced)
            building.rename(folder)
            shutil.rmtree(replaced, ignore_errors=True)
        else:
            building.rename(folder)

    def _remove_all_but(self, kept: set[Path | None]) -> None:
        for path in self.root.iterdir():
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def load(self, folder: Path) -> Saved | None:
        """What was saved there; None when it is incomplete, altered or of another job."""
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            intact = manifest["fingerprint"] == self._fingerprint and all(
                _sha256(folder / name) == facts["sha256"]
                for name, facts in manifest["files"].items()
            )
            if not intact:
                return None
            return self._read(folder, TrainingState(**manifest["state"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _read(self, folder: Path, state: TrainingState) -> Saved:
        best = load_file(folder / BEST) if (folder / BEST).exists() else None
        self._best_file = self._adopt(folder / BEST) if best else None
        self._best_folder = self.root / f"step-{state.best_step:06d}"
        return Saved(
            state=state,
            network=load_file(folder / NETWORK),
            best=best,
            optimizer=torch.load(folder / OPTIMIZER, weights_only=True),
        )

    def _adopt(self, best: Path) -> Path:
        """Keep a link to best weights whose folder may be removed before the next save."""
        kept = self.root / ".best" / BEST
        if best.resolve() != kept.resolve():
            kept.parent.mkdir(exist_ok=True)
            kept.unlink(missing_ok=True)
            _link_or_copy(best, kept)
        return kept


def fingerprint(*parts: object) -> str:
    """A short hash telling whether a checkpoint belongs to this data and these settings."""
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:32]


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
