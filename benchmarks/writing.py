"""How quickly a language model writes for many at once, beside transformers' generate.

    python -m benchmarks.writing [--streams 16] [--tokens 48]

Prints tokens a second of `generate` for one prompt after the other, of the same answers written
together, and the time to the first token of a newcomer, alone and while the others are written;
and tokens a second of processor time, which other load on the machine hardly changes.
"""

import argparse
import threading
import time
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
    first_alone = min(first_token_seconds(generator, sampling) for _ in range(3))
    together, first_among = measure_streams(generator, sampling, arguments.streams)
    print(f"generate, one after the other: {alone} ({threads} threads)")
    print(f"{arguments.streams} streams together: {together}")
    print(
        f"ratio {together.per_second / alone.per_second:.1f},"
        f" of processor time {together.per_cpu_second / alone.per_cpu_second:.1f}"
    )
    ratio = first_among / first_alone
    print(f"first token: {first_alone:.3f} s alone, {first_among:.3f} s among them, {ratio:.1f} x")


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


def first_token_seconds(generator: TextGenerator, sampling: Sampling) -> float:
    started = time.perf_counter()
    stream = generator.stream("What is the capital of France?", sampling)
    next(stream)
    seconds = time.perf_counter() - started
    stream.close()
    return seconds


def measure_streams(
    generator: TextGenerator, sampling: Sampling, streams: int
) -> tuple[Rate, float]:
    """Tokens a second of all streams, and a newcomer's seconds to the first token among them."""
    counts = [0] * streams
    begun = threading.Barrier(streams + 1)

    def write(number: int) -> None:
        stream = generator.stream(QUESTIONS[number % len(QUESTIONS)], sampling)
        begun.wait()
        for chunk in stream:
            counts[number] = chunk.tokens

    writers = [threading.Thread(target=write, args=(number,)) for number in range(streams)]
    for writer in writers:
        writer.start()
    stopwatch = Stopwatch()
    begun.wait()
    for writer in writers:
        writer.join()
    rate = stopwatch.rate(sum(counts))
    begun = threading.Barrier(streams + 1)

    def write_on(number: int) -> None:
        stream = generator.stream(QUESTIONS[number % len(QUESTIONS)], sampling)
        next(stream)
        begun.wait()  # Every prompt has been read: what a newcomer meets is the writing.
        list(stream)

    writers = [threading.Thread(target=write_on, args=(number,)) for number in range(streams)]
    for writer in writers:
        writer.start()
    begun.wait()
    first = first_token_seconds(generator, sampling)
    for writer in writers:
        writer.join()
    return rate, first


if __name__ == "__main__":
    main()
