"""The requests of /v1/chat/completions and /v1/completions, in OpenAI's shapes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from engine.tasks.generation.messages import Chat, InvalidChat, parse_chat
from engine.tasks.generation.sampling import MAX_TOP_LOGPROBS, Sampling
from engine.tasks.generation.writing.tool_calls import ToolRequest
from inference.serving.protocol.body import check_text, parse_json_object, validate
from inference.serving.protocol.errors import bad_request
from inference.serving.protocol.tools import parse_tools, replace_tool_messages

MAX_STOP_SEQUENCES = 4
MAX_STOP_CHARACTERS = 100
MAX_CHARACTERS = 400_000
MAX_CHOICES = 128  # Of all prompts of a request together.
MAX_LEGACY_LOGPROBS = 5
DEFAULT_COMPLETION_TOKENS = 16  # What OpenAI's older endpoint writes when nothing is said.
ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
# They would change the answer; leaving them out silently would be a lie.
UNSUPPORTED_PARAMETERS = (
    "functions",
    "function_call",
    "audio",
    "prediction",
    "web_search_options",
    "store",
    "suffix",
)
Prompt = Chat | str | list[int]
StopSequence = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
TokenId = Annotated[str, Field(pattern=r"^\d{1,9}$")]
Bias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]


class JsonSchemaFormat(BaseModel):
    """`strict` makes no difference: every schema is followed to the letter."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    # "schema" would hide a method of pydantic's.
    json_schema: dict[str, Any] = Field(default_factory=dict, alias="schema")
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None

    @property
    def allowed(self) -> Mapping[str, Any] | None:
        """The schema that an answer must follow; None: it may say anything."""
        if self.type == "text":
            return None
        return self.json_schema.json_schema if self.json_schema else ANY_OBJECT


STREAM_MESSAGE = "stream must be true or false."


class GenerationBody(BaseModel):
    """The parameters that need no more than a look at their own value. Null means the default."""

    model_config = ConfigDict(strict=True)

    model: Annotated[str, Field(min_length=1)]
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None
    response_format: ResponseFormat | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    stop: (
        StopSequence | Annotated[list[StopSequence], Field(max_length=MAX_STOP_SEQUENCES)] | None
    ) = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Annotated[dict[TokenId, Bias], Field(max_length=1024)] | None = None
    logprobs: bool | Annotated[int, Field(ge=0, le=MAX_LEGACY_LOGPROBS)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    echo: bool | None = None
    stream: bool | None = None


# What a parameter must be, for people.
MESSAGES = {
    "model": "model must be the name of a deployment.",
    "n": f"n must be a whole number from 1 to {MAX_CHOICES}.",
    "best_of": "best_of must be a whole number from 1 on.",
    "response_format": "response_format must be of the type text, json_object or json_schema, the"
    " latter with json_schema: {name, schema}.",
    "max_tokens": f"max_tokens must be a whole number from 1 to {2**31:,}.",
    "max_completion_tokens": f"max_completion_tokens must be a whole number from 1 to {2**31:,}.",
    "temperature": "temperature must be a number from 0 to 2.",
    "top_p": "top_p must be a number from 0 to 1.",
    "stop": f"stop must be a text, or up to {MAX_STOP_SEQUENCES} of them.",
    "seed": f"seed must be a whole number from {-(2**63):,} to {2**63 - 1:,}.",
    "presence_penalty": "presence_penalty must be a number from -2 to 2.",
    "frequency_penalty": "frequency_penalty must be a number from -2 to 2.",
    "logit_bias": "logit_bias must map token ids to numbers from -100 to 100.",
    "logprobs": "logprobs must be true or false in chats, and a whole number from 0 to"
    f" {MAX_LEGACY_LOGPROBS} in completions.",
    "top_logprobs": f"top_logprobs must be a whole number from 0 to {MAX_TOP_LOGPROBS}.",
    "echo": "echo must be true or false.",
    "stream": STREAM_MESSAGE,
}


@dataclass(frozen=True)
class GenerationRequest:
    """A valid request: `n` answers to each prompt."""

    model: str
    prompts: list[Prompt]
    sampling: Sampling
    is_chat: bool
    is_stream: bool
    include_usage: bool  # In a stream: as a last chunk of its own.
    n: int = 1
    echo: bool = False
    tools: ToolRequest = ToolRequest()
    left_out: frozenset[str] = frozenset()  # Of temperature and top_p; the model's own hold.

    def with_defaults(self, defaults: Mapping[str, float]) -> Self:
        """The same with the model's own values in place of what the caller left out."""
        own: Any = {name: value for name, value in defaults.items() if name in self.left_out}
        return replace(self, sampling=replace(self.sampling, **own))

    @property
    def uses_tools(self) -> bool:
        """Whether functions are on offer, or the chat tells of them."""
        chat = self.prompts[0]
        has_calls = isinstance(chat, list) and any(
            isinstance(one, dict) and (one["role"] == "tool" or "tool_calls" in one) for one in chat
        )
        return bool(self.tools.tools) or has_calls

    @property
    def prompt_param(self) -> str:
        """The parameter that the prompts came in."""
        return "messages" if self.is_chat else "prompt"

    @property
    def prompt(self) -> Prompt:
        return self.prompts[0]

    @property
    def texts(self) -> list[str]:
        """The prompts as the request log keeps them."""
        return [prompt_text(prompt) for prompt in self.prompts]

    @property
    def asked(self) -> object:
        """The one prompt as a row of a dataset could hold it: a text, or messages without tools;
        None for others."""
        if len(self.prompts) > 1 or self.n > 1 or self.uses_tools:
            return None
        if isinstance(self.prompt, str):
            return self.prompt
        if not self.is_chat:
            return None
        return [{"role": one["role"], "content": one["content"]} for one in self.prompt]  # type: ignore[index]

    def sampling_of(self, choice: int) -> Sampling:
        """Answers to the same prompt differ, and each is repeatable where there is a seed."""
        if self.sampling.seed is None or self.n == 1:
            return self.sampling
        seed = (self.sampling.seed + choice % self.n + 2**63) % 2**64 - 2**63
        return replace(self.sampling, seed=seed)


def prompt_text(prompt: Prompt) -> str:
    """What was asked, as far as it is text."""
    if isinstance(prompt, str):
        return prompt
    last = prompt[-1]
    return last["content"] if isinstance(last, dict) else f"{len(prompt)} token ids"


def parse_generation_request(body: bytes, *, is_chat: bool) -> GenerationRequest:
    """Raises ApiError (400) naming the parameter at fault."""
    content = parse_json_object(body)
    for name in UNSUPPORTED_PARAMETERS:
        if content.get(name):
            raise bad_request(f"{name} is not supported here. Leave it out.", name)
    if content.get("modalities") not in (None, ["text"]):
        raise bad_request("modalities must be ['text']: models here write text.", "modalities")
    # The newer name wins, and exists for chats only; the other one is not even looked at.
    uses_newer_name = is_chat and content.get("max_completion_tokens") is not None
    ignored = {"max_tokens" if uses_newer_name else "max_completion_tokens"}
    ignored |= {"echo", "best_of"} if is_chat else {"top_logprobs", "response_format"}
    known = {name: content.get(name) for name in GenerationBody.model_fields if name not in ignored}
    parameters = validate(GenerationBody, known, MESSAGES)
    n = parameters.n or 1
    if parameters.best_of is not None and parameters.best_of != n:
        raise bad_request("best_of must be the same as n: all answers are returned.", "best_of")
    prompts: list[Prompt] = (
        [parse_messages(content.get("messages"))]
        if is_chat
        else _parse_prompts(content.get("prompt"))
    )
    if n * len(prompts) > MAX_CHOICES:
        raise bad_request(
            f"n times the prompts must be at most {MAX_CHOICES}, not {n * len(prompts)}.", "n"
        )
    tools = parse_tools(content) if is_chat else ToolRequest()
    if tools.forced and parameters.response_format and parameters.response_format.allowed:
        raise bad_request("A forced tool call has its own form: leave response_format out.",
                          "response_format")  # fmt: skip
    options = content.get("stream_options")
    return GenerationRequest(
        model=parameters.model,
        prompts=prompts,
        sampling=_sampling(parameters, is_chat=is_chat),
        is_chat=is_chat,
        is_stream=bool(parameters.stream),
        include_usage=isinstance(options, dict) and bool(options.get("include_usage")),
        n=n,
        echo=bool(parameters.echo),
        tools=tools,
        left_out=left_out_of(parameters),
    )


def left_out_of(parameters: Any) -> frozenset[str]:
    """Which of the parameters that a model has defaults of its own for a body does not give."""
    return frozenset(name for name in ("temperature", "top_p") if getattr(parameters, name) is None)


def parse_messages(messages: object, param_name: str = "messages") -> Chat:
    """Raises ApiError (400) naming the message or the part at fault."""
    for place, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict) and message.get("role") == "function":
            param = f"{param_name}[{place}].role"
            raise bad_request(f"{param} is 'function', an older form: send 'tool' instead.", param)
        parts = message.get("content") if isinstance(message, dict) else None
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            kind = part.get("type") if isinstance(part, dict) else None
            if kind != "text":
                param = f"{param_name}[{place}].content[{number}]"
                raise bad_request(
                    f"{param} is of the type {str(kind)[:40]!r}: models here read text only.", param
                )
    plain, special = replace_tool_messages(messages if isinstance(messages, list) else [])
    try:
        chat = parse_chat(plain or None)
    except InvalidChat as problem:
        raise bad_request(f"The chat {problem}.", param_name) from None
    if special and len(chat) == len(plain):
        chat = [special.get(place, one) for place, one in enumerate(chat)]
    for one in chat:
        check_text(one["content"], param_name, MAX_CHARACTERS)
    return chat


def _parse_prompts(value: object) -> list[Prompt]:
    """A text, texts, token ids, or lists of token ids."""
    if _are_tokens(value):
        return [value]  # type: ignore[list-item]
    values = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= MAX_CHOICES:
        raise bad_request(f"prompt must hold 1 to {MAX_CHOICES} prompts.", "prompt")
    return [_check_prompt(one) for one in values]


def _check_prompt(value: object) -> Prompt:
    if isinstance(value, str) and value.strip():
        check_text(value, "prompt", MAX_CHARACTERS)
        return value
    if _are_tokens(value):
        return value  # type: ignore[return-value]
    raise bad_request(
        "prompt must be a text that is not blank, a list of such texts, or token ids.", "prompt"
    )


def _are_tokens(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in value)
    )


def _sampling(parameters: GenerationBody, *, is_chat: bool) -> Sampling:
    max_tokens = parameters.max_completion_tokens or parameters.max_tokens
    if max_tokens is None and not is_chat:
        max_tokens = DEFAULT_COMPLETION_TOKENS
    stop = parameters.stop or ()
    chosen_format = parameters.response_format
    if chosen_format and chosen_format.type == "json_schema" and chosen_format.json_schema is None:
        raise bad_request(MESSAGES["response_format"], "response_format")
    return Sampling(
        temperature=1.0 if parameters.temperature is None else parameters.temperature,
        top_p=1.0 if parameters.top_p is None else parameters.top_p,
        max_tokens=max_tokens,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        seed=parameters.seed,
        presence_penalty=parameters.presence_penalty or 0.0,
        frequency_penalty=parameters.frequency_penalty or 0.0,
        logit_bias={int(token): bias for token, bias in (parameters.logit_bias or {}).items()},
        json_schema=chosen_format.allowed if chosen_format else None,
        top_logprobs=_top_logprobs(parameters, is_chat=is_chat),
    )


def _top_logprobs(parameters: GenerationBody, *, is_chat: bool) -> int | None:
    """How many likeliest tokens are told beside each; None: no probabilities at all."""
    logprobs = parameters.logprobs
    if logprobs is not None and isinstance(logprobs, bool) != is_chat:
        raise bad_request(MESSAGES["logprobs"], "logprobs")
    if not is_chat:
        return logprobs
    if parameters.top_logprobs is not None and not logprobs:
        raise bad_request("top_logprobs needs logprobs: true.", "top_logprobs")
    return parameters.top_logprobs or 0 if logprobs else None
