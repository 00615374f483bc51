"""Generates answers to chats: whole, in batches, or as a stream of tokens."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from transformers import PreTrainedModel

from engine.data.batching import length_sorted_batches
from engine.errors import BadTrainingData
from engine.serving.answers import Answer
from engine.tasks.generation.chat_template import encode_prompt, stop_token_ids
from engine.tasks.generation.decoding import IncrementalDetokenizer, generate_tokens
from engine.tasks.generation.messages import Chat, InvalidChat, parse_chat
from engine.tasks.generation.sampling import Completion, Sampling, TokenChunk, default_sampling
from engine.tasks.generation.writing import tool_calls
from engine.tasks.generation.writing.constraints import Constraint, ConstraintFactory
from engine.tasks.generation.writing.continuous_batching import (
    PROMPT_CACHE_SHARE,
    ContinuousBatcher,
    can_be_batched,
    weights_bytes_of,
)
from engine.tasks.generation.writing.token_choice import TokenChooser, stream_tokens
from engine.tasks.generation.writing.tool_calls import ToolCallReader, ToolRequest, uses_marks

DEFAULT_MAX_TOKENS = 256
BATCH_TOKENS = 4096  # Of prompts answered side by side.
GREEDY = Sampling()


class PromptEncoder:
    """Makes prompts as training made them. Methods may be called from several threads at once."""

    def __init__(
        self,
        tokenizer: Any,
        context: int,
        stop_token_ids: Sequence[int],
        default_sampling: Mapping[str, float],
    ) -> None:
        """`default_sampling`: what holds where a caller gives no temperature or top_p."""
        self.tokenizer, self.context = tokenizer, context
        self.stop_token_ids = stop_token_ids
        self.default_sampling = {**default_sampling}

    def encode(self, rows: Sequence[Chat | str]) -> list[list[int]]:
        """The tokens of every prompt. Raises BadTrainingData."""
        return [self.encode_row(row) for row in rows]

    def encode_row(self, row: Chat | str) -> list[int]:
        """A prompt's tokens; a plain text is a chat of one user message.

        Raises BadTrainingData.
        """
        try:
            question: Chat = [{"role": "user", "content": str(row)}]
            chat = question if isinstance(row, str) else parse_chat(row)
            return encode_prompt(self.tokenizer, chat)
        except InvalidChat as problem:
            raise BadTrainingData("bad_chat", f"The chat {problem}.") from None

    def encode_with_tools(self, chat: Chat, request: ToolRequest) -> list[int]:
        """A prompt that offers functions, or tells of calls of them.

        Raises BadTrainingData where the model's template knows none.
        """
        template = self.tokenizer.chat_template
        if request.tools and not tool_calls.READS_TOOLS.search(template):
            raise BadTrainingData(
                "no_tools",
                "This model's chat template knows no tools. Leave tools out, or ask a model that"
                " was made for them.",
            )
        has_results = any(message["role"] == "tool" for message in chat)
        if has_results and not tool_calls.READS_RESULTS.search(template):
            raise BadTrainingData(
                "bad_chat", "This model's chat template knows no messages of the role 'tool'."
            )
        is_marked = request.forced and tool_calls.uses_marks(template)
        opening = tool_calls.OPEN + "\n" if is_marked else ""
        try:
            return encode_prompt(self.tokenizer, chat, request.tools, opening)
        except InvalidChat as problem:
            raise BadTrainingData("bad_chat", f"The chat {problem}.") from None

    def tool_call_reader(self, request: ToolRequest) -> ToolCallReader:
        """Finds the calls in an answer."""
        return ToolCallReader(request, tool_calls.uses_marks(self.tokenizer.chat_template))

    def tool_call_schema(self, request: ToolRequest) -> dict[str, Any]:
        """What an answer must follow that is to be a call."""
        key = "arguments" if uses_marks(self.tokenizer.chat_template) else "parameters"
        return tool_calls.call_schema(request, key)

    def max_new_tokens(self, prompt_tokens: int, sampling: Sampling) -> int:
        """How many tokens the answer may have. Raises BadTrainingData when that is none."""
        room = self.context - prompt_tokens
        if room < 1:
            raise BadTrainingData(
                "prompt_too_long",
                f"The prompt has {prompt_tokens:,} tokens; the model reads at most"
                f" {self.context:,}, its answer included. Shorten the prompt.",
            )
        return min(room, sampling.max_tokens or DEFAULT_MAX_TOKENS)


class TextGenerator(PromptEncoder):
    """A network with its tokenizer. Methods may be called from several threads at once."""

    def __init__(
        self, network: PreTrainedModel, tokenizer: Any, context: int, threads: int = 1
    ) -> None:
        """`threads`: of the steps that streamed answers take together."""
        config = network.generation_config
        stops = stop_token_ids(tokenizer, config.eos_token_id if config else None)
        super().__init__(tokenizer, context, stops, default_sampling(config, {}))
        self.network = network.eval()
        batcher = ContinuousBatcher(network, threads) if can_be_batched(network) else None
        self._batcher = batcher

    def answer(self, rows: Sequence[Chat | str], sampling: Sampling = GREEDY) -> list[Answer]:
        """The answer to each chat or prompt, generated in batches.

        Raises BadTrainingData for a row that is no chat or leaves no room for an answer.
        """
        return [
            Answer(
                text=completion.text,
                finish_reason=completion.finish_reason,
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.tokens,
            )
            for completion in self.generate_all(self.encode(rows), sampling)
        ]

    def stream(self, row: Chat | str, sampling: Sampling = GREEDY) -> Iterator[TokenChunk]:
        """The answer as it is generated; the last chunk has the reason for its end. An invalid
        request raises at once, not at the first chunk."""
        return self.stream_prompt(self.encode_row(row), sampling)

    def stream_prompt(self, prompt: list[int], sampling: Sampling) -> Generator[TokenChunk]:
        """The same for a prompt given as tokens."""
        most = self.max_new_tokens(len(prompt), sampling)
        for code, tokens in (("bad_bias", sampling.logit_bias), ("bad_tokens", prompt)):
            if any(token >= self.vocabulary for token in tokens):
                raise BadTrainingData(
                    code, f"This model's token ids go from 0 to {self.vocabulary - 1:,}."
                )
        constraint = None
        if sampling.json_schema is not None:
            constraint = self._constraints.create(sampling.json_schema)
        return self._stream_chunks(prompt, sampling, most, constraint)

    @property
    def weights_bytes(self) -> int:
        """What the network takes in memory, with what it may keep of earlier prompts."""
        return int(weights_bytes_of(self.network) * (1 + PROMPT_CACHE_SHARE))

    @cached_property
    def _constraints(self) -> ConstraintFactory:
        return ConstraintFactory(self.tokenizer, self.vocabulary, self.stop_token_ids)

    @property
    def vocabulary(self) -> int:
        """How many token ids the model knows."""
        return int(self.network.config.vocab_size)

    def token_counts(self, encoded: Sequence[list[int]]) -> list[int]:
        return [len(prompt) for prompt in encoded]

    def generate(self, row: Chat | str, sampling: Sampling = GREEDY) -> Completion:
        """The whole answer, drawn as `stream` draws it."""
        return self.generate_all([self.encode_row(row)], sampling)[0]

    def _stream_chunks(
        self, prompt: list[int], sampling: Sampling, most: int, constraint: Constraint | None
    ) -> Generator[TokenChunk]:
        text = IncrementalDetokenizer(self.tokenizer, sampling, self.stop_token_ids)
        chooser = TokenChooser(self.tokenizer, sampling, self.network.device, constraint)
        write = self._batcher.stream if self._batcher else partial(stream_tokens, self.network)
        for step in write(
            prompt, chooser, most=most, stops=self.stop_token_ids, constraint=constraint
        ):
            chunk = text.add(step.token, step.logprob)
            if chunk.text or chunk.finish_reason:
                yield chunk
            if chunk.finish_reason:
                return
        yield text.finish("stop" if constraint is not None and constraint.is_over else "length")

    def generate_all(
        self, prompts: Sequence[list[int]], sampling: Sampling = GREEDY
    ) -> list[Completion]:
        """Answers to prompts given as tokens, in their order; batched by length."""
        rooms = [self.max_new_tokens(len(prompt), sampling) for prompt in prompts]
        lengths = [len(prompt) + room for prompt, room in zip(prompts, rooms, strict=True)]
        completions: dict[int, Completion] = {}
        for batch in length_sorted_batches(lengths, BATCH_TOKENS) if prompts else []:
            answers = self._generate_batch(
                [prompts[row] for row in batch], [rooms[row] for row in batch], sampling
            )
            completions |= zip(batch.tolist(), answers, strict=True)
        return [completions[row] for row in range(len(prompts))]

    def _generate_batch(
        self, prompts: list[list[int]], rooms: list[int], sampling: Sampling
    ) -> list[Completion]:
        """Answers to prompts, each of at most as many tokens as its room."""
        texts = [
            IncrementalDetokenizer(self.tokenizer, sampling, self.stop_token_ids) for _ in prompts
        ]
        answers = [""] * len(prompts)
        for tokens in generate_tokens(
            self.network, prompts, sampling, most=max(rooms), stops=self.stop_token_ids
        ):
            for row, (text, token) in enumerate(zip(texts, tokens, strict=True)):
                if token is not None and text.finish_reason is None:
                    answers[row] += text.add(token).text
                if text.finish_reason is None and text.tokens >= rooms[row]:
                    answers[row] += text.finish("length").text
            if all(text.finish_reason for text in texts):
                break
        return [
            Completion(answers[row], len(prompts[row]), text.tokens, text.finish_reason or "length")
            for row, text in enumerate(texts)
        ]
