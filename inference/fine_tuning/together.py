"""The body of Together's POST /v1/fine-tunes, and what it means in OpenAI's terms and the engine's.

What the trainer can do is taken over, the defaults that Together's clients send included; what it
cannot do is refused by name.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inference.errors import FineTuningRefused
from inference.fine_tuning.requests import (
    DpoHyperparameters,
    DpoOptions,
    FileName,
    Hyperparameters,
    JobBody,
    Method,
    ModelName,
)
from training.jobs.recipes import HyperparameterValues

Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=0.9, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
# What is not done here, and the values by which clients say that they do not ask for it.
NOT_SERVED = (
    "wandb_key", "wandb_api_key", "wandb_base_url", "wandb_project_name", "wandb_name",
    "from_hf_model", "hf_model_revision", "hf_api_token", "hf_output_repo_name",
    "multimodal_params", "dpo_normalize_logratios_by_length", "dpo_reference_free", "rpo_alpha",
    "simpo_gamma",
)  # fmt: skip
NOT_ASKED = (None, "", False, 0)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_what_is_not_asked(cls, content: Any) -> Any:
        """Clients send every field they know: the null ones of what is not served are nothing."""
        if not isinstance(content, dict):
            return content
        return {
            name: value
            for name, value in content.items()
            if name not in NOT_SERVED or value not in NOT_ASKED
        }


class TrainingMethod(_Body):
    """sft learns answers, dpo preferences between two."""

    method: Literal["sft", "dpo"]
    train_on_inputs: Literal["auto"] | bool | None = None
    dpo_beta: Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)] | None = None


class TrainingType(_Body):
    """Every weight, or LoRA with its rank, scale and dropout."""

    type: Literal["Full", "Lora"]
    lora_r: Annotated[int, Field(ge=1, le=256)] | None = None
    lora_alpha: Annotated[int, Field(ge=1, le=1024)] | None = None
    lora_dropout: Annotated[float, Field(ge=0, lt=0.9, allow_inf_nan=False)] | None = None
    lora_trainable_modules: Literal["all-linear"] | None = None

    def as_hyperparameters(self) -> HyperparameterValues:
        lora: HyperparameterValues = {
            "lora_rank": self.lora_r,
            "lora_alpha": self.lora_alpha,
            "lora_dropout": self.lora_dropout,
        }
        if self.type == "Full":
            if any(lora.values()):
                raise FineTuningRefused(
                    "training_type: the type Full has no lora_r, lora_alpha or lora_dropout.",
                    param="training_type",
                )
            return {"method": "full"}
        return {"method": "lora"} | lora


class SchedulerArguments(_Body):
    """The rate falls to zero here, along half a cosine or a line."""

    min_lr_ratio: Annotated[float, Field(ge=0, le=0)] | None = None
    num_cycles: Annotated[float, Field(ge=0.5, le=0.5)] | None = None


class Scheduler(_Body):
    lr_scheduler_type: Literal["linear", "cosine"]
    lr_scheduler_args: SchedulerArguments | None = None


class FineTuneBody(_Body):
    model: ModelName | None = None
    from_checkpoint: Annotated[str, Field(max_length=300)] | None = None
    training_file: FileName
    validation_file: Annotated[str, Field(max_length=200)] | None = None
    n_epochs: Annotated[int, Field(ge=1, le=50)] | None = None
    batch_size: Literal["max"] | Annotated[int, Field(ge=1, le=256)] | None = None
    learning_rate: Rate | None = None
    lr_scheduler: Scheduler | None = None
    warmup_ratio: Share | None = None
    max_grad_norm: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = None
    weight_decay: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    training_type: TrainingType | None = None
    packing: bool | None = None
    max_seq_length: Annotated[int, Field(ge=16, le=131_072)] | None = None
    suffix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    seed: Seed | None = None
    random_seed: Seed | None = None
    train_on_inputs: Literal["auto"] | bool | None = None
    n_checkpoints: Annotated[int, Field(ge=0)] | None = None
    n_evals: Annotated[int, Field(ge=0)] | None = None
    training_method: TrainingMethod | None = None

    @property
    def engine_hyperparameters(self) -> HyperparameterValues:
        """What OpenAI's body has no words for. Raises FineTuningRefused."""
        values: HyperparameterValues = {
            "learning_rate": self.learning_rate,
            "schedule": self.lr_scheduler.lr_scheduler_type if self.lr_scheduler else None,
            "warmup_fraction": self.warmup_ratio,
            "gradient_clip": self.max_grad_norm,
            "weight_decay": self.weight_decay,
            "packing": self.packing,
            "max_length": self.max_seq_length,
            **(self.training_type.as_hyperparameters() if self.training_type else {}),
        }
        return {name: value for name, value in values.items() if value is not None}

    def as_job_body(self, model: str) -> JobBody:
        """`model`: the name of what training starts from. Raises FineTuningRefused."""
        chosen_method = self.training_method or TrainingMethod(method="sft")
        self._require_served(chosen_method)
        chosen = Hyperparameters(
            n_epochs=self.n_epochs or "auto",
            batch_size=self.batch_size if isinstance(self.batch_size, int) else "auto",
        )
        method = None
        if chosen_method.method == "dpo":
            dpo = DpoHyperparameters(**chosen.model_dump(), beta=chosen_method.dpo_beta or "auto")
            method = Method(type="dpo", dpo=DpoOptions(hyperparameters=dpo))
        return JobBody(
            method=method,
            model=model,
            training_file=self.training_file,
            validation_file=self.validation_file or None,
            suffix=self.suffix,
            seed=self.seed if self.seed is not None else self.random_seed,
            hyperparameters=chosen,
        ).with_engine_hyperparameters(self.engine_hyperparameters)

    def _require_served(self, method: TrainingMethod) -> None:
        if self.train_on_inputs is True or method.train_on_inputs is True:
            raise FineTuningRefused(
                "train_on_inputs: only answers are learnt from here. Leave it out or send false.",
                param="train_on_inputs",
            )
        if method.dpo_beta is not None and method.method != "dpo":
            raise FineTuningRefused(
                "training_method.dpo_beta belongs to the method dpo. Leave it out.",
                param="training_method.dpo_beta",
            )
        if self.n_evals not in (None, 0, self.n_epochs):
            raise FineTuningRefused(
                "n_evals: the validation rows are measured after every epoch here. Leave it out,"
                " or send 0 or the number of epochs.",
                param="n_evals",
            )
        if self.n_checkpoints not in (None, 0, 1):
            raise FineTuningRefused(
                "n_checkpoints: how many are kept cannot be chosen here: the three newest are."
                " Leave it out or send 1.",
                param="n_checkpoints",
            )
