"""Plain torch: trains, evaluates, exports and predicts. Knows no web, queue, database or setting.

Importing this package, `spec`, `catalog`, `events`, `artifact`, `estimate` or `serving` never loads
torch, transformers or scikit-learn: web processes import them.
"""

from engine.catalog import CATALOG, BaseModelEntry, UnknownBaseModel
from engine.errors import BadTrainingData, EngineError
from engine.events import Event, parse_line
from engine.spec import Hyperparameters, SplitSpec, TrainingSpec

__all__ = [
    "CATALOG",
    "BadTrainingData",
    "BaseModelEntry",
    "EngineError",
    "Event",
    "Hyperparameters",
    "SplitSpec",
    "TrainingSpec",
    "UnknownBaseModel",
    "parse_line",
]
