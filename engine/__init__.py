"""Plain torch: trains, evaluates, exports and predicts. Knows no web, queue, database or setting.

Importing this package, `spec`, `catalog`, `events`, `artifact`, `estimate`, `tasks` or `serving`
never loads torch, transformers or scikit-learn: web processes import them.
"""

from engine.catalog import CATALOG, BaseModelEntry, UnknownBaseModel
from engine.errors import BadTrainingData, EngineError
from engine.events import Event, parse_event
from engine.spec import JobSpec, SplitSpec, TrainingSpec, hyperparameters_class, parse_spec

__all__ = [
    "CATALOG",
    "BadTrainingData",
    "BaseModelEntry",
    "EngineError",
    "Event",
    "JobSpec",
    "SplitSpec",
    "TrainingSpec",
    "UnknownBaseModel",
    "hyperparameters_class",
    "parse_event",
    "parse_spec",
]
