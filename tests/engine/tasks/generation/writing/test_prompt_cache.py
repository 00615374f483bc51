"""A prompt that begins like an earlier one is read from where they part, and answered with the same
bits."""

import pytest
import torch

from engine.tasks.generation.sampling import Sampling
from engine.tasks.generation.writing import continuous_batching
from engine.tasks.generation.writing.continuous_batching import PROMPT_PIECE, ContinuousBatcher
from engine.tasks.generation.writing.prompt_cache import PromptCache
from engine.tasks.generation.writing.token_choice import TokenChooser

PIECE_BYTES = 2 * 2 * 2 * 8 * PROMPT_PIECE * 4  # Layers, keys and values, heads, width, float32.


def tokens(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, 200, (count,), generator=generator).tolist()


@pytest.fixture
def batcher(network, monkeypatch):
    """With room for eight pieces: of so small a network, a quarter is less than one."""
    share = 8.5 * PIECE_BYTES / continuous_batching.weights_bytes_of(network)
    monkeypatch.setattr(continuous_batching, "PROMPT_CACHE_SHARE", share)
    return ContinuousBatcher(network, 1)


@pytest.fixture
def tokens_read(network, monkeypatch):
    """How many tokens each computation of the network read."""
    read, forward = [], network.forward

    def count(*given, input_ids, **more):
        read.append(input_ids.shape[1])
        return forward(*given, input_ids=input_ids, **more)

    monkeypatch.setattr(network, "forward", count)
    return read


def ask(batcher, tokenizer, prompt):
    """The answer's tokens and the logarithms of their probabilities."""
    sampling = Sampling(temperature=0.8, seed=4, top_logprobs=2)
    chooser = TokenChooser(tokenizer, sampling, torch.device("cpu"))
    steps = batcher.stream(prompt, chooser, most=4, stops=[])
    return [(step.token, step.logprob.logprob) for step in steps]


@pytest.mark.parametrize(
    ("common", "read"),
    [
        (tokens(700, 1), [256, 32]),  # Two whole pieces are known, a third was read in part.
        (tokens(768, 1), [32]),
        (tokens(255, 1), [256, 256, 256, 32]),
        ([], [256, 256, 256, 32]),
    ],
)
def test_what_is_known_is_not_read_again_and_the_answer_has_the_same_bits(
    common, read, batcher, network, tokenizer, tokens_read
):
    ask(batcher, tokenizer, common + tokens(900 - len(common), 2))
    prompt = common + tokens(800 - len(common), 3)
    del tokens_read[:]
    answer = ask(batcher, tokenizer, prompt)
    assert tokens_read[: len(read) + 1] == [*read, 1]
    assert answer == ask(ContinuousBatcher(network, 1), tokenizer, prompt)


def test_the_last_token_of_a_known_prompt_is_read_again(batcher, network, tokenizer, tokens_read):
    prompt = tokens(2 * PROMPT_PIECE, 5)
    first = ask(batcher, tokenizer, prompt)
    del tokens_read[:]
    assert ask(batcher, tokenizer, prompt) == first
    assert tokens_read[0] == PROMPT_PIECE


def test_an_answer_changes_nothing_that_is_kept(batcher, network, tokenizer):
    prompt = tokens(600, 6)
    first = ask(batcher, tokenizer, prompt)
    for seed in range(3):
        ask(batcher, tokenizer, prompt[:512] + tokens(40, seed))
    assert ask(batcher, tokenizer, prompt) == first


def test_what_was_used_longest_ago_is_let_go_and_the_memory_has_a_bound(network, tokenizer):
    cache = PromptCache(network, PROMPT_PIECE, 3 * PIECE_BYTES)

    def read(prompt):
        filled, known = cache.restore(prompt)
        with torch.inference_mode():
            for begin in range(known, len(prompt), PROMPT_PIECE):
                piece = torch.tensor([prompt[begin : begin + PROMPT_PIECE]])
                network(input_ids=piece, past_key_values=filled, use_cache=True)
                cache.keep(prompt, filled, min(begin + PROMPT_PIECE, len(prompt)))
        return known

    often, once = tokens(600, 7), tokens(300, 8)
    assert read(often) == 0
    assert read(once) == 0
    assert cache.size_bytes == 3 * PIECE_BYTES
    assert read(often) == 512
    assert read(tokens(300, 9)) == 0  # Takes the place of `once`.
    assert cache.size_bytes == 3 * PIECE_BYTES
    assert read(often) == 512
    assert read(once) == 0


def test_a_piece_that_is_too_large_is_not_kept(network):
    cache = PromptCache(network, PROMPT_PIECE, PIECE_BYTES - 1)
    filled, _ = cache.restore(tokens(300, 1))
    with torch.inference_mode():
        network(input_ids=torch.tensor([tokens(256, 1)]), past_key_values=filled, use_cache=True)
    cache.keep(tokens(300, 1), filled, PROMPT_PIECE)
    assert cache.size_bytes == 0
    assert cache.restore(tokens(300, 1))[1] == 0
