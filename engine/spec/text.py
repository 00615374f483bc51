"""Text classification and text regression: what to read, what to answer, how to train."""

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from engine.spec.searching import Range, SearchSpace
from engine.spec.shared import (
    FAIRNESS_COLUMNS,
    LORA_RATE_FACTOR,
    SPLIT_COLUMN,
    TARGET_COLUMN,
    ClassWeights,
    ColumnRole,
    JobSpec,
    LoopHyperparameters,
    epochs_for_steps,
    validate_distinct_columns,
)

# Below this many optimiser steps a small dataset is under-trained at three epochs (369 banking77
# rows: accuracy 0.64 after 12 steps, 0.79 after 120).
AUTOMATIC_STEPS = 160
AUTOMATIC_EPOCHS = (3, 12)
TYPICAL_ROWS_PER_STEP = 24
AUTOMATIC_BATCH_TOKENS = (512, 1024)
MIN_BATCH_TOKENS = 32
# With fewer rows, moving the base model's weights learns the rows by heart.
MIN_ROWS_PER_LABEL = 16
# Fewer are soon learnt from in any case, and better by all layers: 0.923 against 0.912 right on 600
# sentences about products, films and restaurants, of 2,040 to learn from.
MIN_ROWS_FOR_UPPER = 2500
UPPER_RATE_FACTOR = 1.75  # Half the layers move, and further.
SCRATCH_EPOCHS = 4  # Times the planned ones, for an encoder that starts knowing nothing.
# Of the time of a step.
STEP_TIME_RATIOS = {"full": 1.0, "upper": 0.57, "lora": 1.1, "head": 0.01, "probe": 0.0}


class TextHyperparameters(LoopHyperparameters):
    """How to train on text. The defaults are meant to win without tuning."""

    search_space: ClassVar[SearchSpace] = LoopHyperparameters.search_space | {
        "head_learning_rate": Range(low=0.2, high=5, is_log=True, is_relative=True),
    }

    method: Literal["auto", "full", "upper", "lora", "head", "probe"] = Field(
        default="auto",
        title="Method",
        description=(
            "full: every weight learns. upper: the upper half of the layers learns; half again as"
            " quick, as good for texts like those the base model knows. lora: small added matrices"
            " learn, merged when exported. head: only the layer on top learns, step by step. probe:"
            " the same layer, fitted at once; about ten times quicker than full, often nearly as"
            " good. auto: probe with tens of rows, full with hundreds, upper from 2,500 on."
        ),
        json_schema_extra={"automatic": "auto"},
    )
    labels_per_row: Literal["auto", "one", "several"] = Field(
        default="auto",
        title="Labels per row",
        description="auto looks whether label cells hold several. Of no meaning to numbers.",
        json_schema_extra={"automatic": "auto"},
    )
    label_separator: str = Field(
        default="",
        max_length=5,
        title="Label separator",
        description="Between several labels in a cell. Empty: JSON lists, or | ; , if found.",
    )
    class_weights: ClassWeights = "none"
    augmentation: Literal["none", "light", "strong"] = Field(
        default="none",
        title="Augmentation",
        description=(
            "Half of the training texts are changed otherwise in each epoch: typing errors, letter"
            " case, words lost and swapped. light: one change a text; strong: two. Other rows stay"
            " as they are. Of use where people type carelessly."
        ),
    )
    folds: int = Field(
        default=0,
        ge=0,
        le=20,
        title="Folds",
        description=(
            "From 2 on, that many more models are trained, each tested on a different part of the"
            " rows, and the report adds their mean and spread. 0: one test split only."
        ),
    )
    contenders: bool = Field(
        default=True,
        title="Contenders",
        description=(
            "Also fit a linear model on words or characters and one on the frozen base model, and"
            " keep whichever answers best on the validation rows."
        ),
    )
    lora_rank: int = Field(
        default=16,
        ge=1,
        le=256,
        title="LoRA rank",
        description="Size of the added matrices; only for the lora method.",
    )
    head_learning_rate: float = Field(
        default=0.002,
        gt=0,
        le=0.1,
        title="Head learning rate",
        description="Of the layer on top, which starts as the quick probe and may learn faster.",
    )
    batch_tokens: int = Field(
        default=0,
        ge=0,
        le=131_072,
        title="Tokens per batch",
        description=(
            "Rows of similar length share a batch up to this many tokens. Less needs less memory;"
            " at least 16 rows are always gathered before the weights move. 0: 512, or 1,024 with"
            " thousands of rows."
        ),
        json_schema_extra={"automatic": 0},
    )
    max_length: int = Field(
        default=256,
        ge=8,
        le=8192,
        title="Longest text in tokens",
        description="Longer texts are cut. Shortened to what the base model can read.",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        title="Label smoothing",
        description="Share of belief spread over the other labels; helps when labels are noisy.",
    )

    adversarial: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        title="Adversarial training",
        description=(
            "Also learns from embeddings pushed against it by this share of their length; 0.03 is"
            " a good start. Twice as slow or more; the report shows how it bears attacks."
            " 0: off."
        ),
    )

    @field_validator("folds")
    @classmethod
    def _validate_folds(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("One fold leaves nothing to train on: use 0, or 2 and more.")
        return folds

    @field_validator("batch_tokens")
    @classmethod
    def _validate_batch_tokens(cls, tokens: int) -> int:
        if 0 < tokens < MIN_BATCH_TOKENS:
            raise ValueError(f"Use 0 for the automatic choice, or {MIN_BATCH_TOKENS} and more.")
        return tokens

    @model_validator(mode="after")
    def _validate_augmentation(self) -> Self:
        if self.augmentation != "none" and self.method in ("head", "probe"):
            raise ValueError(
                f"Augmentation changes texts from epoch to epoch, and the method {self.method}"
                " reads each text once: use auto, full, upper or lora, or no augmentation."
            )
        return self

    def rate_factor(self, *, from_scratch: bool, train_rows: int) -> float:
        if from_scratch:
            return LORA_RATE_FACTOR if self.method == "lora" else 1.0
        factors = {"upper": UPPER_RATE_FACTOR, "lora": LORA_RATE_FACTOR}
        return factors.get(self.chosen_method(train_rows, 1), 1.0)

    @property
    def is_fitted_directly(self) -> bool:
        return self.method == "probe"

    def for_trial(self) -> Self:
        return self.model_copy(update={"folds": 0, "contenders": False})

    def chosen_method(self, train_rows: int, labels: int) -> str:
        """What auto stands for; `labels` is 1 for a number."""
        if self.method != "auto":
            return self.method
        if train_rows < MIN_ROWS_PER_LABEL * max(2, labels) and self.augmentation == "none":
            return "probe"
        return "full" if train_rows < MIN_ROWS_FOR_UPPER else "upper"

    def planned_batch_tokens(self, train_rows: int) -> int:
        """What 0 stands for: large batches are quicker, where enough of them are left."""
        if self.batch_tokens:
            return self.batch_tokens
        small, large = AUTOMATIC_BATCH_TOKENS
        steps = train_rows * AUTOMATIC_EPOCHS[0] / (TYPICAL_ROWS_PER_STEP * large // small)
        return large if steps >= AUTOMATIC_STEPS else small

    def planned_epochs(self, train_rows: int) -> int:
        """The epochs that 0 stands for: enough for AUTOMATIC_STEPS, within bounds."""
        if self.epochs:
            return self.epochs
        return epochs_for_steps(
            AUTOMATIC_STEPS,
            train_rows=train_rows,
            rows_per_step=TYPICAL_ROWS_PER_STEP,
            bounds=AUTOMATIC_EPOCHS,
        )


class TextSpec(JobSpec):
    """Text columns in, a label or a number out."""

    roles: ClassVar[tuple[ColumnRole, ...]] = (
        ColumnRole(
            field="text_columns",
            title="Text",
            help="What the model reads. Several columns are joined in this order.",
            many=True,
        ),
        TARGET_COLUMN.model_copy(update={"alternative": "target_columns"}),
        ColumnRole(
            field="target_columns",
            title="Labels in columns of their own",
            help="Instead of one label column: each column is a label, and each cell says by 1 or"
            " 0 (yes or no, true or false, x or nothing) whether the row has it.",
            many=True,
            required=False,
            is_target=True,
            types=("boolean", "integer", "text"),
        ),
        SPLIT_COLUMN,
        FAIRNESS_COLUMNS,
    )

    task: Literal["text-classification", "text-regression"] = "text-classification"
    text_columns: list[str] = Field(min_length=1, description="Joined in this order.")
    target_column: str | None = Field(default=None, min_length=1)
    target_columns: list[str] = Field(default=[], description="Labels in columns of their own.")
    base_model: str = Field(default="all-MiniLM-L6-v2", description="An id of engine.catalog.")
    hyperparameters: TextHyperparameters = TextHyperparameters()

    @property
    def targets(self) -> list[str]:
        """The columns that hold what is answered."""
        return [self.target_column] if self.target_column else self.target_columns

    @property
    def target_name(self) -> str:
        """The target for people, in messages and manifests."""
        return ", ".join(self.targets)

    @model_validator(mode="after")
    def _validate_columns(self) -> Self:
        if bool(self.target_column) == bool(self.target_columns):
            raise ValueError("Name either a label column, or several columns of 0 and 1.")
        if self.target_columns and self.task != "text-classification":
            raise ValueError("Labels in columns of their own are for text classification only.")
        if len(self.target_columns) == 1:
            raise ValueError("One column of 0 and 1 is a label column: name it as that.")
        validate_distinct_columns(self.text_columns, self.targets, "text", self.part_column)
        return self
