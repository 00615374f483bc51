"""The part of a spec that all tasks share: data, folders, split, and the loop's hyperparameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine.spec.exporting import ExportSpec
from engine.spec.frozen import FrozenModel
from engine.spec.searching import Choices, Range, SearchSpace, SearchSpec

LORA_RATE_FACTOR = 10.0  # Small matrices that start at zero need a higher rate than the weights.
SuggestedColumns = dict[str, str | list[str] | None]  # By spec field.
# Hyperparameters that several tasks have, each with a default of its own.
ClassWeights = Annotated[
    Literal["none", "balanced"],
    Field(
        title="Class weights",
        description="balanced: rare labels count as much in all as common ones.",
    ),
]
EarlyStoppingPatience = Annotated[
    int,
    Field(
        ge=0,
        le=1000,
        title="Patience",
        description="Stop after this many epochs without a better validation score. 0: never.",
    ),
]
Schedule = Annotated[
    Literal["linear", "cosine", "constant"],
    Field(
        title="Schedule",
        description="How the rate falls after the warm-up: to zero, or not at all.",
    ),
]


class ColumnRole(FrozenModel):
    """One use of the data's columns: a spec field that forms and the API ask for by name."""

    field: str  # Of the spec: a column name, or a list of them when `many`.
    title: str
    help: str
    many: bool = False
    required: bool = True
    is_target: bool = False
    is_report_only: bool = False  # Read by the report only; may also be an input or the target.
    alternative: str = ""  # The field of another role that may be filled instead of this one.
    types: tuple[str, ...] = ()  # Column types that make sense here; empty: any.

    def columns_in(self, recipe: Mapping[str, Any]) -> list[str]:
        """The columns that a recipe gives this role."""
        value = recipe.get(self.field) or []
        return [value] if isinstance(value, str) else list(value)


class SplitSpec(FrozenModel):
    """How rows are divided. Everything not held out is trained on: 85 / 5 / 10 by default."""

    method: Literal["stratified", "random", "group", "time", "column"] = Field(
        default="stratified",
        title="Split",
        description=(
            "stratified: drawn, each label in proportion. random: drawn without regard to labels."
            " group: rows with one value of the column stay together, such as all of a customer."
            " time: the newest rows by the column are the test. column: the column says train,"
            " validation or test. Duplicates and near duplicates never stand on two sides."
        ),
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        title="Split seed",
        description="Same seed, same split.",
    )
    validation_fraction: float = Field(
        default=0.05,
        gt=0,
        le=0.4,
        title="Validation share",
        description="Rows that choose the best epoch; never trained on.",
    )
    test_fraction: float = Field(
        default=0.10,
        gt=0,
        le=0.5,
        title="Test share",
        description="Rows nobody looks at before the final report.",
    )
    column: str | None = Field(
        default=None,
        title="Split column",
        description=(
            "For group, time and column: whose rows stay together, when a row is from, or its part."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _default_method(cls, data: object) -> object:
        """A column named without a method says the parts, as it did before there were methods."""
        if isinstance(data, dict) and data.get("column") and "method" not in data:
            return {**data, "method": "column"}
        return data

    @model_validator(mode="after")
    def _validate_column(self) -> Self:
        needs_column = self.method in ("group", "time", "column")
        if needs_column and not self.column:
            raise ValueError(f"A split by {self.method} needs a split column.")
        if self.column and not needs_column:
            raise ValueError(
                f"A {self.method} split reads no column; choose group, time or column."
            )
        return self

    @property
    def sentence(self) -> str:
        """How rows are divided, for reports and the job's page."""
        together = "duplicates and near duplicates on one side"
        return {
            "stratified": f"Drawn, each label in proportion, seed {self.seed}; {together}.",
            "random": f"Drawn without regard to labels, seed {self.seed}; {together}.",
            "group": f"Drawn by groups of {self.column!r}, seed {self.seed}; {together}.",
            "time": f"By time: the newest rows by {self.column!r} are the test, those before them"
            " the validation.",
            "column": f"As column {self.column!r} says.",
        }[self.method]


class LoopHyperparameters(FrozenModel):
    """The hyperparameters of the one training loop. A value marked automatic stands for a choice.

    `search_space` names those that a search may vary: only such that preparing rows never reads.
    """

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": Range(low=0.2, high=5, is_log=True, is_relative=True),
        "weight_decay": Range(low=0, high=0.2),
        "dropout": Range(low=0, high=0.3),
        "schedule": Choices(options=("linear", "cosine")),
    }

    epochs: int = Field(
        default=0,
        ge=0,
        le=1000,
        title="Epochs",
        description="Passes over the training rows. 0 chooses by the number of rows.",
        json_schema_extra={"automatic": 0},
    )
    learning_rate: float = Field(
        default=0.0,
        ge=0,
        le=1.0,
        title="Learning rate",
        description="Highest rate of the schedule. 0 takes what suits the model and optimizer.",
        json_schema_extra={"automatic": 0},
    )
    optimizer: Literal["adamw", "sgd", "adafactor"] = Field(
        default="adamw",
        title="Optimizer",
        description=(
            "adamw suits nearly everything. adafactor needs a third of its memory. sgd, with"
            " momentum 0.9, needs little memory and a much higher rate."
        ),
    )
    schedule: Schedule = "linear"
    warmup_fraction: float = Field(
        default=0.1,
        ge=0,
        le=0.9,
        title="Warm-up share",
        description="Share of the steps in which the learning rate rises from zero.",
    )
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        le=1,
        title="Weight decay",
        description="Pulls weights towards zero; not applied to biases, norms and embeddings.",
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=0.9,
        title="Dropout",
        description="Share of signals silenced at random while training, against memorising.",
    )
    gradient_clip: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        title="Largest gradient",
        description="Longer gradients are shortened to this norm. 0: never.",
    )
    accumulation: int = Field(
        default=1,
        ge=1,
        le=1024,
        title="Accumulation",
        description="Batches gathered before the weights move once: larger steps, same memory.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        title="Gradient checkpointing",
        description="Computes activations twice instead of keeping them: slower, far less memory.",
    )
    early_stopping_patience: EarlyStoppingPatience = 2
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        default="auto",
        title="Numeric precision",
        description=(
            "auto takes bf16 where the device computes it natively, else fp32. fp16 scales the"
            " loss, and skips a step that overflows."
        ),
        json_schema_extra={"automatic": "auto"},
    )
    sharding: Literal["auto", "none", "full"] = Field(
        default="auto",
        title="Sharding",
        description=(
            "On several devices: none keeps a copy of the model on each; full divides weights,"
            " gradients and optimizer state among them, slower but with less memory. auto divides"
            " when copies would not fit. The steps are the same."
        ),
        json_schema_extra={"automatic": "auto"},
    )
    seed: int = Field(
        default=0, ge=0, le=2**32 - 1, title="Seed", description="Same seed, same model."
    )

    def rate_factor(self, *, from_scratch: bool, train_rows: int) -> float:
        """What the model's recommended learning rate is multiplied by for the chosen method."""
        return 1.0

    @property
    def is_fitted_directly(self) -> bool:
        """Whether the chosen method takes no steps, so that a search would change nothing."""
        return False

    def for_trial(self) -> Self:
        """The same without work that does not help to compare trials."""
        return self


class JobSpec(FrozenModel):
    """One training job: data in, artifact folder out. Each task family adds its columns."""

    roles: ClassVar[tuple[ColumnRole, ...]] = ()

    task: str
    data: Path = Field(description="Parquet file with all rows.")
    base_model: str = Field(description="An id of engine.catalog.")
    output: Path = Field(description="Artifact folder to create; must not exist.")
    work: Path = Field(description="Scratch folder; checkpoints live under checkpoints/.")
    resume_from: Path | None = Field(default=None, description="A complete checkpoint folder.")
    split: SplitSpec = SplitSpec()
    split_column: str | None = None
    hyperparameters: LoopHyperparameters = LoopHyperparameters()
    search: SearchSpec | None = None
    export: ExportSpec | None = Field(
        default=None, description="Not a training: another form of a finished model."
    )
    fairness_columns: list[str] = Field(
        default=[], max_length=10, description="Groups that the report compares."
    )
    halvings: int = Field(
        default=0,
        ge=0,
        le=20,
        description="How often memory ran out: batches are computed in pieces 2^n times smaller,"
        " which leaves every step, and so every checkpoint, as it is.",
    )
    memory_bytes: int | None = Field(
        default=None, ge=1, description="What the process may use; None: what the machine has."
    )
    threads: int | None = Field(default=None, ge=1, le=1024, description="None: as many as cores.")
    checkpoint_seconds: float = Field(
        default=20, gt=0, description="Longest wait for a checkpoint."
    )
    nice: bool = Field(default=False, description="Yield the processor to other programs.")

    @property
    def effective_split(self) -> SplitSpec:
        """How rows are divided, with the split column where one is named."""
        if self.split.column or not self.split_column:
            return self.split
        return self.split.model_copy(update={"method": "column", "column": self.split_column})

    @property
    def part_column(self) -> str | None:
        """The column that says each row's part, which can be neither input nor target."""
        split = self.effective_split
        return split.column if split.method == "column" else None

    def search_problem(self) -> str:
        """Why the requested search is not possible, in a sentence; empty when it is."""
        space = self.hyperparameters.search_space
        if self.search is None:
            return ""
        if self.hyperparameters.is_fitted_directly:
            return "A search needs a method that trains in steps; choose auto or another method."
        for name in self.search.parameters:
            if name not in space:
                return f"{name!r} cannot be searched. These can: {', '.join(space)}."
        return ""

    def device_problem(self, device: str) -> str:
        """Why a machine with this device, cpu or cuda, is not for these settings, in a sentence
        that names the field; empty when it is."""
        if device == "cpu" and self.hyperparameters.precision == "fp16":
            return (
                "hyperparameters.precision: fp16 needs a GPU; a processor computes it slower than"
                " fp32. Choose auto, bf16 or fp32."
            )
        return ""

    @classmethod
    def from_suggestion(cls, suggested: Mapping[str, Any]) -> SuggestedColumns:
        """This family's columns out of what the import suggests for the data."""
        return {
            role.field: suggested[role.field] for role in cls.roles if suggested.get(role.field)
        }


TARGET_COLUMN = ColumnRole(
    field="target_column",
    title="Label",
    help="What the model learns to answer.",
    is_target=True,
)


SPLIT_COLUMN = ColumnRole(
    field="split_column",
    title="Split",
    help="Says train, validation or test for each row. None chosen: rows are drawn.",
    required=False,
    is_report_only=True,
)
FAIRNESS_COLUMNS = ColumnRole(
    field="fairness_columns",
    title="Groups to treat alike",
    help="The report compares how the model treats the groups of these columns. The model need not"
    " see them.",
    many=True,
    required=False,
    is_report_only=True,
)


def epochs_for_steps(
    steps: int, *, train_rows: int, rows_per_step: int, bounds: tuple[int, int]
) -> int:
    """The fewest epochs within the bounds that make so many optimiser steps."""
    fewest, most = bounds
    epochs = -(-steps * rows_per_step // max(1, train_rows))
    return min(most, max(fewest, epochs))


def validate_distinct_columns(
    inputs: list[str], targets: list[str], what: str, split_column: str | None = None
) -> None:
    """Raises ValueError when an answer is among the questions, a column is named twice, or the
    split column is one of either."""
    for target in targets:
        if target in inputs:
            raise ValueError(f"{target!r} cannot be both {what} and target column.")
    if len(set(inputs)) < len(inputs):
        raise ValueError(f"A {what} column is named twice.")
    if len(set(targets)) < len(targets):
        raise ValueError("A target column is named twice.")
    if split_column and split_column in (*inputs, *targets):
        raise ValueError(f"The split column {split_column!r} cannot also be {what} or target.")
