"""Answers that are written together are those that are written alone."""

import threading
import time

import pytest
import torch
from transformers import DynamicCache

from engine.tasks.generation.generator import TextGenerator
from engine.tasks.generation.sampling import Sampling
from engine.tasks.generation.writing import continuous_batching
from engine.tasks.generation.writing.continuous_batching import ContinuousBatcher
from engine.tasks.generation.writing.growing_cache import growing_cache
from engine.tasks.generation.writing.token_choice import TokenChooser, stream_tokens

STOPS = [1]


def questions(count):
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, 700, (count,), generator=generator).tolist()
    return [torch.randint(2, 200, (length,), generator=generator).tolist() for length in lengths]


def samplings(count):
    kinds = [
        {"temperature": 0.0},
        {"temperature": 0.9},
        {"temperature": 1.2, "top_p": 0.8},
        {"temperature": 0.7, "frequency_penalty": 1.0},
    ]
    return [Sampling(seed=n, **kinds[n % len(kinds)]) for n in range(count)]


def alone(network, tokenizer, prompt, sampling, most):
    chooser = TokenChooser(tokenizer, sampling, torch.device("cpu"))
    return [one.token for one in stream_tokens(network, prompt, chooser, most=most, stops=STOPS)]


def test_each_answer_is_what_it_is_alone_whoever_else_comes_and_goes(network, tokenizer):
    count = 24
    batcher, answers = ContinuousBatcher(network, 1), {}
    prompts, chosen = questions(count), samplings(count)
    mosts = [5 + 7 * (number % 5) for number in range(count)]

    def ask(number):
        time.sleep(0.01 * (number % 7))
        chooser = TokenChooser(tokenizer, chosen[number], torch.device("cpu"))
        steps = batcher.stream(prompts[number], chooser, most=mosts[number], stops=STOPS)
        answers[number] = [step.token for step in steps]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(count):
        expected = alone(network, tokenizer, prompts[number], chosen[number], mosts[number])
        assert answers[number] == expected, number


def test_a_closed_answer_is_written_no_further(network, tokenizer):
    batcher = ContinuousBatcher(network, 1)
    chooser = TokenChooser(tokenizer, Sampling(), torch.device("cpu"))
    steps = batcher.stream([5, 6, 7], chooser, most=100_000, stops=[])
    next(steps)
    steps.close()
    other = TokenChooser(tokenizer, Sampling(), torch.device("cpu"))
    assert len(list(batcher.stream([8], other, most=3, stops=[]))) == 3


def test_a_failure_reaches_those_who_wait_and_nobody_after_them(network, tokenizer, monkeypatch):
    batcher = ContinuousBatcher(network, 1)
    chooser = TokenChooser(tokenizer, Sampling(), torch.device("cpu"))
    with monkeypatch.context() as patch:
        patch.setattr(TokenChooser, "choose", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(batcher.stream([5], chooser, most=3, stops=[]))
    assert len(list(batcher.stream([5], chooser, most=3, stops=[]))) == 3


def test_the_thread_ends_when_nobody_asks(network, tokenizer, monkeypatch):
    monkeypatch.setattr(continuous_batching, "IDLE_SECONDS", 0.05)
    batcher = ContinuousBatcher(network, 1)
    for _ in range(3):
        chooser = TokenChooser(tokenizer, Sampling(), torch.device("cpu"))
        assert len(list(batcher.stream([5], chooser, most=2, stops=[]))) == 2
        deadline = time.monotonic() + 10
        while batcher._is_running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not batcher._is_running


def test_a_long_prompt_holds_nobody_up_for_long(network, tokenizer):
    """It is read in pieces, between which the others take their steps."""
    batcher = ContinuousBatcher(network, 1)
    short = TokenChooser(tokenizer, Sampling(), torch.device("cpu"))
    steps = batcher.stream([5], short, most=400, stops=[])
    next(steps)
    long = TokenChooser(tokenizer, Sampling(), torch.device("cpu"))
    reader = batcher.stream([7] * 1900, long, most=1, stops=[])
    done = threading.Event()
    thread = threading.Thread(target=lambda: (list(reader), done.set()))
    thread.start()
    came = 0
    while not done.is_set():
        if next(steps, None) is None:
            break
        came += 1
    thread.join(60)
    assert came >= 1900 // continuous_batching.PROMPT_PIECE - 1


def greedy(tokenizer):
    return TokenChooser(tokenizer, Sampling(temperature=0.0), torch.device("cpu"))


class Newcomer(threading.Thread):
    """Asks while a step of others is between its two layers, and holds the second one up until its
    own first token has come, or for long."""

    def __init__(self, network, ask):
        super().__init__(daemon=True)
        self.ask, self.tokens, self.came_first = ask, [], None
        self.has_token = threading.Event()
        first, second = network.model.layers
        self.hooks = [
            first.register_forward_pre_hook(self.begin),
            second.register_forward_pre_hook(self.wait),
        ]

    def run(self):
        for step in self.ask():
            self.tokens.append(step.token)
            self.has_token.set()

    def begin(self, _, inputs):
        if inputs[0].shape[1] == 1 and self.ident is None:
            self.start()
            time.sleep(0.2)

    def wait(self, _, inputs):
        if inputs[0].shape[1] == 1 and self.ident is not None and self.came_first is None:
            self.came_first = self.has_token.wait(5)


def test_a_newcomer_waits_for_no_step_and_changes_nothing_in_it(network, tokenizer):
    batcher, prompts = ContinuousBatcher(network, 1), questions(2)
    steps = batcher.stream(prompts[0], greedy(tokenizer), most=20, stops=STOPS)
    tokens = [next(steps).token]
    short = prompts[1][:200]
    newcomer = Newcomer(
        network, lambda: batcher.stream(short, greedy(tokenizer), most=12, stops=STOPS)
    )
    tokens += [step.token for step in steps]
    newcomer.join(60)
    for hook in newcomer.hooks:
        hook.remove()
    assert newcomer.came_first
    sampling = Sampling(temperature=0.0)
    assert tokens == alone(network, tokenizer, prompts[0], sampling, 20)
    assert newcomer.tokens == alone(network, tokenizer, short, sampling, 12)


def test_a_short_prompt_waits_for_no_long_one(network, tokenizer):
    batcher, ended = ContinuousBatcher(network, 1), []

    def ask(name, prompt):
        list(batcher.stream(prompt, greedy(tokenizer), most=1, stops=[]))
        ended.append(name)

    long = threading.Thread(target=ask, args=("long", [7] * 2000))
    long.start()
    while not batcher._is_running:
        time.sleep(0.001)
    short = threading.Thread(target=ask, args=("short", [5, 6]))
    short.start()
    for thread in (long, short):
        thread.join(60)
    assert ended == ["short", "long"]


def test_who_cannot_begin_ends_alone(network, tokenizer, monkeypatch):
    batcher, broken = ContinuousBatcher(network, 1), greedy(tokenizer)
    steps = batcher.stream([5], greedy(tokenizer), most=300, stops=[])
    next(steps)
    monkeypatch.setattr(broken, "choose", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(batcher.stream([6], broken, most=3, stops=[]))
    assert len(list(steps)) == 299


def test_streams_of_a_generator_are_written_together(network, tokenizer):
    generator = TextGenerator(network, tokenizer, 256)
    sampling = Sampling(temperature=0.0, max_tokens=12)
    whole = generator.generate("Hello there", sampling)
    streamed = "".join(chunk.text for chunk in generator.stream("Hello there", sampling))
    assert streamed == whole.text


def test_a_step_copies_none_of_the_tokens_before_it(network):
    usual, growing = DynamicCache(config=network.config), growing_cache(network)
    tokens, places = torch.arange(2, 152)[None], set()
    for begin, end in [(0, 20), *((place, place + 1) for place in range(20, 150))]:
        logits = []
        for cache in (usual, growing):
            with torch.inference_mode():
                logits.append(network(input_ids=tokens[:, begin:end], past_key_values=cache).logits)
        assert torch.equal(*logits)
        places.add(growing.layers[0].keys.data_ptr())
    assert len(places) <= 3
    for one, other in zip(usual.layers, growing.layers, strict=True):
        assert torch.equal(one.keys, other.keys)
        assert torch.equal(one.values, other.values)
