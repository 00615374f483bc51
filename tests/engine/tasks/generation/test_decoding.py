"""Tokens to text, stop texts, sampling and packing, without a trained model."""

import itertools

import numpy as np
import pytest
import torch

from engine.tasks.generation import base_models
from engine.tasks.generation.chat_template import TokenizedExample, stop_token_ids, tokenize_chat
from engine.tasks.generation.chats import InvalidChat, format_chat, parse_chat
from engine.tasks.generation.decoding import (
    IncrementalDetokenizer,
    _pad_left,
    generate_tokens,
    sample_tokens,
)
from engine.tasks.generation.packing import (
    IGNORE_INDEX,
    build_packed_batch,
    count_target_tokens,
    pack_first_fit,
    packed_batches,
)
from engine.tasks.generation.sampling import Sampling

END = 1


@pytest.fixture(scope="module")
def tokenizer():
    return base_models.train_tokenizer(["a b c stop here"], 300)


def detokenized(tokenizer, text, *, stops=(), ids=None, **sampling):
    """The chunks of a text as its tokens arrive, ended by the end token unless a stop came."""
    decoder = IncrementalDetokenizer(tokenizer, Sampling(stop=tuple(stops), **sampling), [END])
    ids = ids or [*tokenizer(text, add_special_tokens=False)["input_ids"], END]
    chunks = []
    for token in ids:
        chunks.append(decoder.add(token))
        if chunks[-1].finish_reason:
            return chunks
    return [*chunks, decoder.finish("length")]


@pytest.mark.parametrize(
    "text", ["", "a", "hello there", "naïve café", "日本語 🙂 ok", " lead", "x\n\ny"]
)
def test_chunks_add_up_to_the_text_and_never_hold_half_a_character(tokenizer, text):
    chunks = detokenized(tokenizer, text)
    assert "".join(chunk.text for chunk in chunks) == text
    assert not any("\ufffd" in chunk.text for chunk in chunks)
    assert chunks[-1].finish_reason == "stop"


def test_half_a_character_at_the_end_is_given_rather_than_lost(tokenizer):
    half = tokenizer("🙂", add_special_tokens=False)["input_ids"][:2]
    chunks = detokenized(tokenizer, "", ids=half)
    assert chunks[-1].finish_reason == "length"
    assert chunks[-1].text == "\ufffd"


@pytest.mark.parametrize(
    ("text", "stops", "given"),
    [
        ("one STOP two", ["STOP"], "one "),
        ("one two", ["STOP"], "one two"),
        ("one STO", ["STOP"], "one STO"),  # The beginning of a stop text is no stop text.
        ("ab aab", ["aab", "ab"], ""),
        ("xyz", ["z", "yz"], "x"),  # The first to begin ends the answer.
        ("STOP", ["STOP"], ""),
        ("日本語", ["本"], "日"),
    ],
)
def test_a_stop_text_ends_the_answer_and_nothing_of_it_is_given(tokenizer, text, stops, given):
    chunks = detokenized(tokenizer, text, stops=stops)
    assert "".join(chunk.text for chunk in chunks) == given
    assert chunks[-1].finish_reason == "stop"


def test_text_that_may_begin_a_stop_text_is_held_back_until_it_does_not(tokenizer):
    decoder = IncrementalDetokenizer(tokenizer, Sampling(stop=("bcd",)), [END])
    texts = []
    for letter in "abcx":
        (token,) = tokenizer(letter, add_special_tokens=False)["input_ids"]
        texts.append(decoder.add(token).text)
    assert texts == ["a", "", "", "bcx"]


def test_the_end_token_counts_and_is_not_part_of_the_text(tokenizer):
    (chunk,) = detokenized(tokenizer, "", ids=[END])
    assert (chunk.text, chunk.tokens, chunk.finish_reason) == ("", 1, "stop")


def test_without_temperature_the_likeliest_token_is_taken():
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 0.0, 0.0]])
    assert sample_tokens(logits, Sampling(), torch.Generator()).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("top_p", "possible"), [(0.5, {0}), (0.75, {0, 1}), (0.95, {0, 1, 2}), (1.0, {0, 1, 2, 3})]
)
def test_top_p_keeps_the_fewest_likeliest_tokens_that_reach_it(top_p, possible):
    logits = torch.log(torch.tensor([[0.6, 0.25, 0.1, 0.05]])).repeat(3000, 1)
    rng = torch.Generator().manual_seed(0)
    drawn = sample_tokens(logits, Sampling(temperature=1.0, top_p=top_p), rng).tolist()
    assert set(drawn) == possible
    expected = 0.6 / sum([0.6, 0.25, 0.1, 0.05][: len(possible)])
    assert drawn.count(0) / 3000 == pytest.approx(expected, abs=0.04)


def test_even_a_tiny_top_p_leaves_one_token():
    rng = torch.Generator().manual_seed(0)
    sampling = Sampling(temperature=5.0, top_p=1e-9)
    assert sample_tokens(torch.tensor([[0.0, 0.1]]), sampling, rng).tolist() == [1]


def test_prompts_are_padded_on_the_left():
    ids, mask = _pad_left([[5, 6, 7], [8]], "cpu")
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.fixture(scope="module")
def network(tokenizer):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config).eval()


def test_a_batch_answers_as_each_prompt_alone(network):
    prompts = [[5, 6, 7, 8, 9], [10], [11, 12, 13]]

    def answers(some):
        steps = generate_tokens(network, some, Sampling(), most=6, stops=[])
        return [list(column) for column in zip(*steps, strict=True)]

    assert answers(prompts) == [answers([prompt])[0] for prompt in prompts]


def test_a_finished_prompt_gives_nothing_more_and_all_finished_end_the_loop(network):
    (first,) = next(generate_tokens(network, [[5, 6]], Sampling(), most=1, stops=[]))
    steps = list(generate_tokens(network, [[5, 6]], Sampling(), most=9, stops=[first]))
    assert steps == [[first]]
    both = list(generate_tokens(network, [[5, 6], [7]], Sampling(), most=4, stops=[first]))
    assert [step[0] for step in both][1:] == [None] * (len(both) - 1)


def test_the_same_seed_draws_the_same_answer(network):
    def drawn(seed):
        sampling = Sampling(temperature=2.0, seed=seed)
        return [step[0] for step in generate_tokens(network, [[5]], sampling, most=8, stops=[])]

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(5)}) > 1


def example(number, targets):
    """A sequence whose ids tell where they stand."""
    mask = np.array(targets, dtype=bool)
    return TokenizedExample(number, np.arange(len(mask), dtype=np.int32) + 10 * number, mask)


def test_targets_are_the_next_tokens_of_the_same_sequence():
    sequences = [example(1, [0, 0, 1, 1]), example(2, [1, 1])]
    batch = build_packed_batch(sequences, [[0, 1]], "cpu")
    assert batch.ids.tolist() == [[10, 11, 12, 13, 20, 21]]
    nothing = IGNORE_INDEX
    assert batch.targets.tolist() == [[nothing, 12, 13, nothing, 21, nothing]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 0, 1]]
    assert batch.sequence_ids.tolist() == [[1, 1, 1, 1, 2, 2]]
    predicted = int((batch.targets != nothing).sum())
    assert predicted == sum(map(count_target_tokens, sequences)) == 3


def test_packed_tokens_see_what_came_before_in_their_own_sequence_alone(network):
    batch = build_packed_batch([example(1, [1, 1]), example(2, [1, 1])], [[0, 1]], "cpu")
    network.config._attn_implementation = "sdpa"
    seen = batch.attention_mask(network)[0, 0].int().tolist()
    assert seen == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    network.config._attn_implementation = "eager"
    hidden = batch.attention_mask(network)[0, 0]
    assert (hidden == 0).int().tolist() == seen
    alone = build_packed_batch([example(1, [1, 1])], [[0]], "cpu")
    assert alone.attention_mask(network) is None


@pytest.mark.parametrize("seed", range(5))
def test_lines_hold_every_sequence_once_and_no_more_than_their_room(seed):
    lengths = np.random.default_rng(seed).integers(1, 40, 60).tolist()
    lines = pack_first_fit(lengths, 64)
    assert sorted(itertools.chain(*lines)) == list(range(60))
    assert all(sum(lengths[one] for one in line) <= 64 for line in lines)
    used = sum(lengths) / 64
    assert len(lines) <= used * 11 / 9 + 1  # First fit decreasing, Johnson 1973.


def test_a_sequence_longer_than_the_room_has_a_line_of_its_own():
    assert pack_first_fit([100, 3, 2], 10) == [[0], [1, 2]]


def test_every_epoch_has_all_sequences_in_another_order_within_the_limit():
    lengths = np.random.default_rng(0).integers(1, 50, 100).tolist()

    def batches(epoch):
        return list(itertools.chain(*packed_batches(lengths, 128, seed=1, epoch=epoch)))

    for epoch in (0, 1):
        rows = np.concatenate(batches(epoch)).tolist()
        assert sorted(rows) == list(range(100))
        for batch in batches(epoch):
            assert len(batch) == 1 or sum(lengths[row] for row in batch) <= 128
    assert np.concatenate(batches(0)).tolist() != np.concatenate(batches(1)).tolist()
    assert [b.tolist() for b in batches(0)] == [b.tolist() for b in batches(0)]


def test_an_answer_ends_with_the_templates_own_mark_and_the_models(tokenizer):
    assert stop_token_ids(tokenizer, None) == [END]
    assert stop_token_ids(tokenizer, 7) == [END, 7]
    assert stop_token_ids(tokenizer, [9, 7, END]) == [END, 7, 9]


def test_every_answer_of_a_chat_is_learnt_and_no_question(tokenizer):
    roles = ["user", "assistant"] * 2
    turns = zip(roles, "abca", strict=True)
    chat = parse_chat([{"role": role, "content": text} for role, text in turns])
    (whole,) = tokenize_chat(tokenizer, chat, 4)
    assert whole.chat_index == 4
    learnt = tokenizer.decode(whole.ids[whole.target_mask])
    assert learnt == "b<|end|>a<|end|>"


def test_chats_are_shown_with_roles_unless_they_are_one_question():
    question = [{"role": "user", "content": "why?"}]
    assert format_chat(question) == "why?"
    assert format_chat([{"role": "system", "content": "s"}, *question]) == "system: s\nuser: why?"


def test_a_chat_nested_beyond_sense_is_refused_not_a_crash():
    with pytest.raises(InvalidChat, match="not valid JSON"):
        parse_chat("[" * 200_000)
