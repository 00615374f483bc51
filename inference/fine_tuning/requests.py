"""The body of POST /v1/fine_tuning/jobs, and what it means to a launch."""

import math
from typing import Annotated, ClassVar, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from accounts.models import Team
from engine import catalog
from engine.catalog import BaseModelEntry
from engine.spec import SPEC_CLASSES
from engine.spec.generation import PREFERENCE_RATE_FACTOR, GenerationHyperparameters
from inference.errors import FineTuningRefused
from inference.fine_tuning.names import PREFIX, find_named_job, split_checkpoint
from inference.models import ApiFile
from projects.models import DatasetVersion
from training.jobs.launch import Columns, suggested_task
from training.jobs.recipes import HyperparameterValues
from training.models import TrainedModel

Auto = Literal["auto"]
MAX_METADATA_PAIRS = 16
GENERATION_TASK = "text-generation"
GENERATION_COLUMNS: dict[str, Columns] = {
    "chat": {"messages_column": "messages"},
    "completion": {"prompt_columns": ["prompt"], "completion_column": "completion"},
}
PREFERENCE_FORMAT = "preference"
PREFERENCE_COLUMNS: Columns = {
    "prompt_columns": ["input.messages"],  # As the import names what an object holds.
    "completion_column": "preferred_output",
    "rejected_column": "non_preferred_output",
}


class Hyperparameters(BaseModel):
    """What OpenAI lets a client set; "auto" leaves the choice to the product."""

    model_config = ConfigDict(extra="forbid")

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, allow_inf_nan=False)] = "auto"


class DpoHyperparameters(Hyperparameters):
    beta: Auto | Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)] = "auto"


class MethodOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hyperparameters: Hyperparameters | None = None


class DpoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hyperparameters: DpoHyperparameters | None = None


class Method(BaseModel):
    type: str
    supervised: MethodOptions | None = None
    dpo: DpoOptions | None = None


ModelName = Annotated[str, Field(min_length=1, max_length=200)]
FileName = Annotated[str, Field(min_length=1, max_length=200)]


class JobBody(BaseModel):
    """POST /v1/fine_tuning/jobs. Fields that are unknown are refused, not left unread."""

    model_config = ConfigDict(extra="forbid")
    TYPES: ClassVar[tuple[str, ...]] = ("supervised", "dpo")

    model: ModelName
    training_file: FileName
    validation_file: Annotated[str, Field(max_length=200)] | None = None
    suffix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    metadata: (
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None
    ) = None
    integrations: list[object] | None = None
    # By the engine's names: what other shapes of this request have words for.
    _engine_hyperparameters: HyperparameterValues = PrivateAttr(default_factory=dict)

    def with_engine_hyperparameters(self, values: HyperparameterValues) -> Self:
        self._engine_hyperparameters = values
        return self

    def require_supported(self) -> None:
        """Raises FineTuningRefused, naming the parameter that is not served here."""
        if self.integrations:
            raise FineTuningRefused(
                "integrations are not supported here: metrics are events and a result file of the"
                " job. Leave integrations out.",
                param="integrations",
            )
        if self.method is not None and self.method.type not in self.TYPES:
            offered = " or ".join(self.TYPES)
            raise FineTuningRefused(
                f"The method {self.method.type[:40]!r} is not supported here. Use {offered}.",
                param="method.type",
            )
        if self.method is not None:
            other = "supervised" if self.is_dpo else "dpo"
            if getattr(self.method, other) is not None:
                raise FineTuningRefused(
                    f"The method is {self.method.type}: leave method.{other} out.",
                    param=f"method.{other}",
                )
        if self.metadata and len(self.metadata) > MAX_METADATA_PAIRS:
            raise FineTuningRefused(
                f"metadata may hold {MAX_METADATA_PAIRS} pairs, not {len(self.metadata)}.",
                param="metadata",
            )

    @property
    def is_dpo(self) -> bool:
        return self.method is not None and self.method.type == "dpo"

    @property
    def chosen_hyperparameters(self) -> Hyperparameters:
        """Those of the method, or of the older field, or all automatic."""
        if self.is_dpo:
            dpo = self.method.dpo if self.method else None
            if dpo and dpo.hyperparameters:
                return dpo.hyperparameters
            older = self.hyperparameters or Hyperparameters()
            return DpoHyperparameters(**older.model_dump())
        options = self.method.supervised if self.method else None
        chosen = options.hyperparameters if options else None
        return chosen or self.hyperparameters or Hyperparameters()

    @property
    def stored_method(self) -> dict[str, object]:
        """The method as the job's row keeps it, with defaults written out."""
        name = "dpo" if self.is_dpo else "supervised"
        engine = self._engine_hyperparameters
        return {
            "type": name,
            name: {"hyperparameters": self.chosen_hyperparameters.model_dump()},
            **({"engine": engine} if engine else {}),
        }


def stored_hyperparameters(method: dict[str, object]) -> Hyperparameters:
    """What `stored_method` keeps."""
    is_dpo = method["type"] == "dpo"
    options = method.get(str(method["type"]))
    values = (options.get("hyperparameters") if isinstance(options, dict) else None) or {}
    return DpoHyperparameters(**values) if is_dpo else Hyperparameters(**values)


def find_start(team: Team, name: str) -> tuple[BaseModelEntry, TrainedModel | None]:
    """The base model, and the finished fine-tune of it that training goes on from, if the name is
    one's. Raises FineTuningRefused."""
    if not name.startswith(PREFIX):
        return find_base_model(name), None
    job_name, step = split_checkpoint(name)
    if step is not None:
        raise FineTuningRefused(
            f"Training goes on from finished models, not from checkpoints. Use {job_name!r}.",
            param="model",
        )
    named = find_named_job(team.pk, name)
    if named is None or named.job is None or named.job.model is None:
        raise FineTuningRefused(
            f"This team has no finished fine-tuned model {name[:200]!r}.", param="model"
        )
    entry = find_base_model(named.job.base_model)
    if GENERATION_TASK not in entry.tasks:
        raise FineTuningRefused(
            "Training goes on from language models only. Name the base model"
            f" {entry.id!r}, and a file with the earlier examples and the new ones.",
            param="model",
        )
    return entry, named.job.model


def find_base_model(name: str) -> BaseModelEntry:
    """The catalog's entry, also by its name on the hub. Raises FineTuningRefused."""
    by_reference = {entry.source.reference: entry for entry in catalog.CATALOG.values()}
    entry = catalog.CATALOG.get(name) or by_reference.get(name)
    if entry is None:
        raise FineTuningRefused(
            f"There is no base model {name!r}. Choose one of: {', '.join(catalog.CATALOG)}.",
            param="model",
        )
    return entry


def choose_task(entry: BaseModelEntry, version: DatasetVersion) -> str:
    """What the base model learns from these rows: what the import suggests, where it can."""
    suggested = suggested_task(version)
    return suggested if suggested in entry.tasks else entry.tasks[0]


def choose_columns(file: ApiFile, param: str, *, is_dpo: bool) -> Columns:
    """The columns of a language model's examples. Raises FineTuningRefused with the first line
    that is neither a chat nor a prompt with its completion, or no preference."""
    if is_dpo:
        if problem := file.line_problems.get(PREFERENCE_FORMAT):
            raise FineTuningRefused(f"Invalid file format. {problem}", param=param)
        return PREFERENCE_COLUMNS
    if PREFERENCE_FORMAT not in file.line_problems:
        raise FineTuningRefused(
            "Invalid file format. The file holds preferences: use the method 'dpo'.", param=param
        )
    for name, columns in GENERATION_COLUMNS.items():
        if name not in file.line_problems:
            return columns
    # The format that was meant is the one that went well for longest.
    meant = max(GENERATION_COLUMNS, key=lambda name: _line_number(file.line_problems[name]))
    raise FineTuningRefused(f"Invalid file format. {file.line_problems[meant]}", param=param)


def _line_number(problem: str) -> float:
    """Of the line at fault; infinite where all lines are right but too few."""
    words = problem.replace(":", " ").split()
    return int(words[1]) if words[0] == "Line" else math.inf


def engine_hyperparameters(
    entry: BaseModelEntry, task: str, method: dict[str, object], seed: int
) -> HyperparameterValues:
    """Those of a stored method in the engine's terms; what is automatic is left out.

    Raises FineTuningRefused for what this task has no counterpart of.
    """
    requested = stored_hyperparameters(method)
    fields = SPEC_CLASSES[task].model_fields["hyperparameters"].annotation
    known = getattr(fields, "model_fields", {})
    engine_values: dict[str, object] = {
        "epochs": requested.n_epochs,
        "batch_rows" if "batch_rows" in known else "rows_per_step": requested.batch_size,
        "learning_rate": requested.learning_rate_multiplier,
    }
    if isinstance(requested, DpoHyperparameters):
        if "beta" not in known:
            raise FineTuningRefused(
                f"{entry.id} is no language model: it cannot be trained by dpo.",
                param="method.type",
            )
        engine_values["beta"] = requested.beta
    values: HyperparameterValues = {"seed": seed}
    for name, value in engine_values.items():
        if value == "auto":
            continue
        if name not in known:
            raise FineTuningRefused(
                f"{entry.id} is trained without it: leave it at 'auto'.", param="hyperparameters"
            )
        values[name] = value
    if "learning_rate" in values:
        values["learning_rate"] = _learning_rate(entry, task, requested)
    engine = cast(HyperparameterValues, method.get("engine") or {})
    if unknown := engine.keys() - known.keys():
        raise FineTuningRefused(
            f"{entry.id} is trained without {', '.join(sorted(unknown))}.", param="model"
        )
    return values | engine


def _learning_rate(entry: BaseModelEntry, task: str, requested: Hyperparameters) -> float:
    """The multiple of the rate that suits the base model and the method. Raises
    FineTuningRefused for more than 1."""
    assert isinstance(requested.learning_rate_multiplier, float | int)
    rate = entry.learning_rate * requested.learning_rate_multiplier
    if task == GENERATION_TASK:
        is_scratch = entry.source.kind == "scratch"
        rate *= GenerationHyperparameters().rate_factor(from_scratch=is_scratch, train_rows=0)
        if isinstance(requested, DpoHyperparameters):
            rate *= PREFERENCE_RATE_FACTOR
    if rate > 1:
        raise FineTuningRefused(
            f"learning_rate_multiplier must be at most {1 / rate:.4g} for {entry.id}.",
            param="hyperparameters.learning_rate_multiplier",
        )
    return rate
