"""Text generation: prompts and completions, or whole chats; the answers are what is learnt."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine import catalog
from engine.spec.shared import (
    LORA_RATE_FACTOR,
    SPLIT_COLUMN,
    ColumnRole,
    JobSpec,
    LoopHyperparameters,
    SuggestedColumns,
    epochs_for_steps,
    validate_distinct_columns,
)

AUTOMATIC_STEPS = 100
# Preferences are learnt at a fraction of the rate at which answers are copied.
PREFERENCE_RATE_FACTOR = 0.1
AUTOMATIC_EPOCHS = (2, 12)
# A model that starts knowing nothing reads the rows more often.
SCRATCH_STEPS, SCRATCH_EPOCHS = 240, (3, 24)
TYPICAL_ROWS_PER_STEP = 16


class GenerationHyperparameters(LoopHyperparameters):
    """How to train a language model."""

    method: Literal["auto", "full", "lora"] = Field(
        default="auto",
        title="Method",
        description=(
            "lora: small matrices beside every linear layer learn, merged when exported. full:"
            " every weight learns, which needs four times the memory. auto: lora, or full for a"
            " model from scratch."
        ),
        json_schema_extra={"automatic": "auto"},
    )
    lora_rank: int = Field(
        default=16,
        ge=1,
        le=256,
        title="LoRA rank",
        description="Size of the added matrices; only for the lora method.",
    )
    lora_alpha: int = Field(
        default=32,
        ge=1,
        le=1024,
        title="LoRA alpha",
        description="What the added matrices are scaled by, divided by the rank.",
    )
    lora_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=0.9,
        title="LoRA dropout",
        description="Share of the added matrices' inputs silenced at random while training.",
    )
    packing: bool = Field(
        default=True,
        title="Packing",
        description=(
            "Lays several short examples into one line of a batch, without letting one see"
            " another: less is spent on padding. The loss is the same."
        ),
    )
    beta: float = Field(
        default=0.1,
        gt=0,
        le=2,
        allow_inf_nan=False,
        title="DPO beta",
        description=(
            "Only where a rejected answer is named: how strongly the model is held to its base."
            " Larger stays closer."
        ),
    )
    generated_rows: int = Field(
        default=40,
        ge=1,
        le=10_000,
        title="Rows answered in the test",
        description="Test rows, drawn evenly, that this model and the untuned one answer.",
    )
    generated_tokens: int = Field(
        default=96,
        ge=1,
        le=8192,
        title="Longest answer in the test",
        description="In tokens; longer answers are cut off there.",
    )
    batch_tokens: int = Field(
        default=1024,
        ge=32,
        le=1_048_576,
        title="Tokens per batch",
        description="Less needs less memory.",
    )
    rows_per_step: int = Field(
        default=0,
        ge=0,
        le=1024,
        title="Examples per step",
        description="After how many examples the weights move. 0: at least 16, by their length.",
        json_schema_extra={"automatic": 0},
    )
    max_length: int = Field(
        default=512,
        ge=16,
        le=131_072,
        title="Longest example in tokens",
        description="Longer examples are cut. Shortened to what the base model can read.",
    )

    def rate_factor(self, *, from_scratch: bool, train_rows: int) -> float:
        return LORA_RATE_FACTOR if self.chosen_method(from_scratch=from_scratch) == "lora" else 1.0

    def chosen_method(self, *, from_scratch: bool) -> Literal["full", "lora"]:
        """What auto stands for."""
        if self.method == "auto":
            return "full" if from_scratch else "lora"
        return self.method

    def planned_epochs(self, train_rows: int, *, from_scratch: bool) -> int:
        """The epochs that 0 stands for: enough steps to learn from few rows, within bounds."""
        if self.epochs:
            return self.epochs
        return epochs_for_steps(
            SCRATCH_STEPS if from_scratch else AUTOMATIC_STEPS,
            train_rows=train_rows,
            rows_per_step=self.rows_per_step or TYPICAL_ROWS_PER_STEP,
            bounds=SCRATCH_EPOCHS if from_scratch else AUTOMATIC_EPOCHS,
        )


class GenerationSpec(JobSpec):
    """A messages column, or prompt columns with a completion column."""

    roles: ClassVar[tuple[ColumnRole, ...]] = (
        ColumnRole(
            field="messages_column",
            title="Chats",
            help="A column of chats, each a JSON list of messages with role and content.",
            required=False,
        ),
        ColumnRole(
            field="prompt_columns",
            title="Prompt",
            help="What the model is asked. Several columns are joined in this order.",
            many=True,
            required=False,
        ),
        ColumnRole(
            field="completion_column",
            title="Completion",
            help="The answer it learns to give.",
            required=False,
            is_target=True,
        ),
        ColumnRole(
            field="rejected_column",
            title="Rejected answer",
            help=(
                "An answer that is worse than the completion. With it the model learns which of"
                " the two to prefer (DPO) instead of copying one."
            ),
            required=False,
            is_target=True,
        ),
        ColumnRole(
            field="system_column",
            title="System",
            help="What the model is told before the chat, where that differs between rows.",
            required=False,
        ),
        ColumnRole(
            field="history_column",
            title="History",
            help="Earlier questions and answers of each prompt, a JSON list of pairs or messages.",
            required=False,
        ),
        SPLIT_COLUMN,
    )

    task: Literal["text-generation"]
    messages_column: str | None = None
    prompt_columns: list[str] = []
    completion_column: str | None = None
    rejected_column: str | None = None
    system_column: str | None = None
    history_column: str | None = None
    base_model: str = Field(default="SmolLM2-135M-Instruct", description="An id of engine.catalog.")
    initial_model: Path | None = Field(
        default=None,
        description="Artifact folder of a finished model to train on from; else the base model's.",
    )
    hyperparameters: GenerationHyperparameters = GenerationHyperparameters()

    @property
    def is_preference(self) -> bool:
        """Whether pairs of answers are learnt from, by DPO."""
        return self.rejected_column is not None

    @property
    def rate_factor(self) -> float:
        """What multiplies the rate that suits the base model and the method."""
        return PREFERENCE_RATE_FACTOR if self.is_preference else 1.0

    @classmethod
    def from_suggestion(cls, suggested: Mapping[str, Any]) -> SuggestedColumns:
        texts, target = suggested.get("text_columns") or [], suggested.get("target_column")
        columns: SuggestedColumns = {}
        if target:
            columns = {"prompt_columns": texts, "completion_column": target}
        elif texts:
            columns = {"messages_column": texts[0]}
        for name in ("rejected_column", "system_column", "history_column", "split_column"):
            if column := suggested.get(name):
                columns[name] = column
        return columns

    @model_validator(mode="after")
    def _validate_columns(self) -> Self:
        has_pair = bool(self.prompt_columns and self.completion_column)
        if bool(self.messages_column) == has_pair:
            raise ValueError("Name either a chats column, or prompt columns and a completion.")
        if self.completion_column:
            validate_distinct_columns(
                self.prompt_columns, [self.completion_column], "prompt", self.split_column
            )
        if self.history_column and self.messages_column:
            raise ValueError("A history belongs to prompts; chats hold their own.")
        others = [self.messages_column, self.system_column, self.history_column, self.split_column]
        targets = [self.completion_column, self.rejected_column]
        named = [name for name in (*others, *targets) if name]
        named += self.prompt_columns
        if len(set(named)) < len(named):
            raise ValueError("A column has two uses: choose another for one of them.")
        return self

    @model_validator(mode="after")
    def _validate_lora_base(self) -> Self:
        entry = catalog.CATALOG.get(self.base_model)
        is_scratch = entry is not None and entry.source.kind == "scratch"
        is_random = is_scratch and self.initial_model is None
        if is_random and self.hyperparameters.method == "lora":
            raise ValueError(
                "Method lora needs a base model that is not from scratch: choose full."
            )
        return self
