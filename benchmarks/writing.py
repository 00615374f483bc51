"""How quickly a language model writes for many at once, beside transformers' generate.

    python -m benchmarks.writing [--streams 16] [--tokens 48]

Prints tokens a second of transformers' `generate` for one prompt after the other, and of as many
answers written together as there are streams; and tokens a second of processor time, which other
load on the machine hardly changes.

The time to the first token is that from a request to the first piece of its text, the median of
several newcomers. Among others: each comes at any moment while all the streams write, their own
prompts long read. Alone: nothing else is written. Both are taken in turns, so that what else the
machine does meanwhile meets both. A bar of 2 x holds for the ratio of the medians.

Last, the first token of a question under instructions of a thousand tokens: where they are new, and
where an earlier question stood under them. Also in turns.
"""

import argparse
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from engine import catalog
from engine.tasks.generation import base_models
from engine.tasks.generation.generator import TextGenerator
from engine.tasks.generation.sampling import Sampling
from engine.tasks.text.base_models import locate_base_model

QUESTIONS = [f"Name {number} things that are found in a kitchen." for number in range(2, 34)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--newcomers", type=int, default=12)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    arguments = parser.parse_args()
    folder = locate_base_model(catalog.get_base_model(arguments.model))
    network = base_models.load_network(folder, "sdpa")
    threads = torch.get_num_threads()
    generator = TextGenerator(network, base_models.load_tokenizer(folder), 4096, threads)
    generator.stop_token_ids = []  # Every answer has as many tokens as are asked for.
    sampling = Sampling(max_tokens=arguments.tokens)
    list(generator.stream(QUESTIONS[0], Sampling(max_tokens=2)))
    alone = measure_generate(generator, arguments.tokens)
    together = measure_streams(generator, sampling, arguments.streams)
    print(f"generate, one after the other: {alone} ({threads} threads)")
    print(f"{arguments.streams} streams together: {together}")
    print(
        f"ratio {together.per_second / alone.per_second:.1f},"
        f" of processor time {together.per_cpu_second / alone.per_cpu_second:.1f}"
    )
    newcomers = measure_newcomers(generator, arguments.streams, arguments.newcomers)
    print(newcomers)
    print(measure_known_instructions(generator, arguments.newcomers // 2))


@dataclass(frozen=True)
class Rate:
    """How quickly tokens came."""

    per_second: float
    per_cpu_second: float

    def __str__(self) -> str:
        return f"{self.per_second:.1f} tokens/s, {self.per_cpu_second:.1f} a CPU second"


class Stopwatch:
    """Started when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def rate(self, tokens: int) -> Rate:
        return Rate(
            tokens / (time.perf_counter() - self._wall), tokens / (time.process_time() - self._cpu)
        )


def measure_generate(generator: TextGenerator, tokens: int, prompts: int = 3) -> Rate:
    stopwatch = Stopwatch()
    for question in QUESTIONS[:prompts]:
        ids = torch.tensor([generator.encode_row(question)])
        with torch.inference_mode():
            generator.network.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
            )
    return stopwatch.rate(prompts * tokens)


def measure_streams(generator: TextGenerator, sampling: Sampling, streams: int) -> Rate:
    """Tokens a second of all streams."""
    counts = [0] * streams

    def write(number: int) -> None:
        for chunk in generator.stream(QUESTIONS[number % len(QUESTIONS)], sampling):
            counts[number] = chunk.tokens

    writers = [threading.Thread(target=write, args=(number,)) for number in range(streams)]
    stopwatch = Stopwatch()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return stopwatch.rate(sum(counts))


@dataclass(frozen=True)
class Newcomers:
    """Seconds to the first token of each."""

    alone: list[float]
    among: list[float]

    def __str__(self) -> str:
        alone, among = statistics.median(self.alone), statistics.median(self.among)
        return (
            f"first token, medians of {len(self.among)}: {alone:.3f} s alone, {among:.3f} s among"
            f" them, {among / alone:.2f} x; quickest {min(self.alone):.3f} and"
            f" {min(self.among):.3f}, worst {max(self.alone):.3f} and {max(self.among):.3f}"
        )


def measure_newcomers(
    generator: TextGenerator, streams: int, newcomers: int, rounds: int = 3
) -> Newcomers:
    dice, measured = random.Random(0), Newcomers([], [])
    for _ in range(rounds):
        for _ in range(newcomers // rounds):
            measured.alone.append(first_token_seconds(generator))
        with others_writing(generator, streams):
            for _ in range(newcomers // rounds):
                time.sleep(dice.uniform(0.1, 0.6))  # More than a step takes.
                measured.among.append(first_token_seconds(generator))
    return measured


@contextmanager
def others_writing(generator: TextGenerator, streams: int) -> Iterator[None]:
    """All the streams have begun when the block does, and write until it ends."""
    begun, is_over = threading.Barrier(streams + 1), threading.Event()

    def write(number: int) -> None:
        stream = generator.stream(QUESTIONS[number % len(QUESTIONS)], Sampling(max_tokens=2000))
        next(stream)
        begun.wait()
        while not is_over.is_set():
            next(stream)
        stream.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(streams)]
    for writer in writers:
        writer.start()
    begun.wait()
    yield
    is_over.set()
    for writer in writers:
        writer.join()
    time.sleep(1)  # The step under way ends unheard.


def measure_known_instructions(generator: TextGenerator, rounds: int) -> str:
    dice = random.Random(1)
    new: list[float] = []
    known: list[float] = []
    for number in range(rounds):
        instructions = " ".join(f"Rule {number}: {dice.choice(QUESTIONS)}" for _ in range(64))
        for seconds in (new, known):
            question = f"{instructions} {dice.choice(QUESTIONS)}"
            seconds.append(first_token_seconds(generator, question))
    tokens = len(generator.encode_row(question))
    return (
        f"first token of {tokens} tokens, medians of {rounds}: {statistics.median(new):.3f} s with"
        f" new instructions, {statistics.median(known):.3f} s with known ones"
    )


def first_token_seconds(
    generator: TextGenerator, question: str = "What is the capital of France?"
) -> float:
    started = time.perf_counter()
    stream = generator.stream(question, Sampling(max_tokens=1))
    next(stream)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
