"""A language model that answers chats: whole, side by side, or token by token."""

from collections.abc import Iterator, Sequence
from typing import Any

from transformers import PreTrainedModel

from engine.batching import batches_by_length
from engine.errors import BadTrainingData
from engine.generation.chats import BadChat, Chat, parse_chat
from engine.generation.decoding import TextAssembler, next_tokens
from engine.generation.options import Completion, Piece, Sampling
from engine.generation.rendering import prompt_ids, stop_ids

DEFAULT_MAX_TOKENS = 256
TOKENS_AT_ONCE = 4096  # Of prompts answered side by side.
GREEDY = Sampling()


class Answerer:
    """A network with its tokenizer. Methods may be called from several threads at once."""

    def __init__(self, network: PreTrainedModel, tokenizer: Any, context: int) -> None:
        self.network, self.tokenizer, self.context = network.eval(), tokenizer, context
        config = network.generation_config
        self.stops = stop_ids(tokenizer, config.eos_token_id if config else None)

    def answer(
        self, rows: Sequence[Chat | str], sampling: Sampling = GREEDY
    ) -> list[dict[str, Any]]:
        """The likeliest answer to each chat or prompt, answered side by side.

        Raises BadTrainingData for a row that is no chat or leaves no room for an answer.
        """
        return [
            {
                "text": one.text,
                "finish_reason": one.finish_reason,
                "prompt_tokens": one.prompt_tokens,
                "completion_tokens": one.tokens,
            }
            for one in self.complete_all(self.encode(rows), sampling)
        ]

    def tokens_of(self, row: Chat | str) -> list[int]:
        """A prompt's tokens; a plain text is a chat of one user message.

        Raises BadTrainingData.
        """
        try:
            chat = [{"role": "user", "content": row}] if isinstance(row, str) else parse_chat(row)
            return prompt_ids(self.tokenizer, chat)
        except BadChat as problem:
            raise BadTrainingData("bad_chat", f"The chat {problem}.") from None

    def stream(self, row: Chat | str, sampling: Sampling = GREEDY) -> Iterator[Piece]:
        """The answer as it is made; the last piece says why it ended. What is wrong with the
        request is raised at once, not at the first piece."""
        return self.write(self.tokens_of(row), sampling)

    def write(self, prompt: list[int], sampling: Sampling) -> Iterator[Piece]:
        """The same for a prompt given as tokens."""
        return self._pieces(prompt, sampling, self.room_for(len(prompt), sampling))

    def encode(self, rows: Sequence[Chat | str]) -> list[list[int]]:
        """The tokens of every prompt. Raises BadTrainingData."""
        return [self.tokens_of(row) for row in rows]

    def token_counts(self, encoded: Sequence[list[int]]) -> list[int]:
        return [len(prompt) for prompt in encoded]

    def complete(self, row: Chat | str, sampling: Sampling = GREEDY) -> Completion:
        """The whole answer, drawn as `stream` draws it."""
        return self.complete_all([self.tokens_of(row)], sampling)[0]

    def room_for(self, prompt_tokens: int, sampling: Sampling) -> int:
        """How many tokens the answer may have. Raises BadTrainingData when that is none."""
        left = self.context - prompt_tokens
        if left < 1:
            raise BadTrainingData(
                "prompt_too_long",
                f"The prompt has {prompt_tokens:,} tokens; the model reads at most"
                f" {self.context:,}, its answer included. Shorten the prompt.",
            )
        return min(left, sampling.max_tokens or DEFAULT_MAX_TOKENS)

    def _pieces(self, prompt: list[int], sampling: Sampling, most: int) -> Iterator[Piece]:
        text = TextAssembler(self.tokenizer, sampling, self.stops)
        for (token,) in next_tokens(self.network, [prompt], sampling, most=most, stops=self.stops):
            assert token is not None
            piece = text.add(token)
            if piece.text or piece.finish_reason:
                yield piece
            if piece.finish_reason:
                return
        yield text.finish("length")

    def complete_all(
        self, prompts: Sequence[list[int]], sampling: Sampling = GREEDY
    ) -> list[Completion]:
        """Answers to prompts given as tokens, in their order; those of like length side by side."""
        rooms = [self.room_for(len(prompt), sampling) for prompt in prompts]
        lengths = [len(prompt) + room for prompt, room in zip(prompts, rooms, strict=True)]
        found: dict[int, Completion] = {}
        for batch in batches_by_length(lengths, TOKENS_AT_ONCE) if prompts else []:
            asked = [(prompts[row], rooms[row]) for row in batch]
            found |= zip(batch.tolist(), self._side_by_side(asked, sampling), strict=True)
        return [found[row] for row in range(len(prompts))]

    def _side_by_side(
        self, asked: list[tuple[list[int], int]], sampling: Sampling
    ) -> list[Completion]:
        """Answers to prompts, each with the room it has."""
        prompts = [prompt for prompt, _ in asked]
        most = max(room for _, room in asked)
        texts = [TextAssembler(self.tokenizer, sampling, self.stops) for _ in asked]
        said = [""] * len(asked)
        for tokens in next_tokens(self.network, prompts, sampling, most=most, stops=self.stops):
            for row, (text, token) in enumerate(zip(texts, tokens, strict=True)):
                if token is not None and text.finish_reason is None:
                    said[row] += text.add(token).text
                if text.finish_reason is None and text.tokens >= asked[row][1]:
                    said[row] += text.finish("length").text
            if all(text.finish_reason for text in texts):
                break
        return [
            Completion(said[row], len(prompts[row]), text.tokens, text.finish_reason or "length")
            for row, text in enumerate(texts)
        ]
