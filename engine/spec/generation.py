"""Text generation: prompts and completions, or whole chats; the answers are what is learnt."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine.spec.shared import ColumnRole, JobSpec, LoopHyperparameters, refuse_shared_columns


class GenerationHyperparameters(LoopHyperparameters):
    """How to train a language model."""

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
