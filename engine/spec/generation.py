"""Text generation: prompts and completions, or whole chats; the answers are what is learnt."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine import catalog
from engine.spec.shared import (
    LORA_RATE_FACTOR,
    ColumnRole,
    JobSpec,
    LoopHyperparameters,
    refuse_shared_columns,
)

AUTOMATIC_STEPS = 100
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
        steps = SCRATCH_STEPS if from_scratch else AUTOMATIC_STEPS
        fewest, most = SCRATCH_EPOCHS if from_scratch else AUTOMATIC_EPOCHS
        wanted = -(-steps * TYPICAL_ROWS_PER_STEP // max(1, train_rows))
        return min(most, max(fewest, wanted))


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
    )

    task: Literal["text-generation"]
    messages_column: str | None = None
    prompt_columns: list[str] = []
    completion_column: str | None = None
    base_model: str = Field(default="small-language-model", description="An id of engine.catalog.")
    hyperparameters: GenerationHyperparameters = GenerationHyperparameters()

    @classmethod
    def from_suggestion(cls, suggested: dict[str, Any]) -> dict[str, Any]:
        texts, target = suggested.get("text_columns") or [], suggested.get("target_column")
        if target:
            return {"prompt_columns": texts, "completion_column": target}
        return {"messages_column": texts[0]} if texts else {}

    @model_validator(mode="after")
    def _one_form_of_example(self) -> Self:
        has_pair = bool(self.prompt_columns and self.completion_column)
        if bool(self.messages_column) == has_pair:
            raise ValueError("Name either a chats column, or prompt columns and a completion.")
        if self.completion_column:
            refuse_shared_columns(self.prompt_columns, self.completion_column, "prompt")
        return self

    @model_validator(mode="after")
    def _lora_has_something_to_add_to(self) -> Self:
        entry = catalog.CATALOG.get(self.base_model)
        is_scratch = entry is not None and entry.source.kind == "scratch"
        if is_scratch and self.hyperparameters.method == "lora":
            raise ValueError("Method lora needs a base model that is not from scratch: choose full")
        return self
