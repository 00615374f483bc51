"""How quickly an assistant answers under load, at a running product.

    python -m benchmarks.assistants.load URL ASSISTANT [--rate 20] [--seconds 60] [--repeated]
        [--key ch_…]

LATHE_TOKEN holds an API token. Questions are the generator's, sent on time whether or not earlier
ones were answered. Each names an order of its own, so that none is found among the texts that were
read before; with --repeated they come again, as visitors' do. With --key, the key of a widget, 500
visitors then keep their streams open.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import urllib3

from assistants.demo_data import generate_faq

CONNECTIONS = 200
VISITORS, SECONDS_BETWEEN_VISITORS = 500, 1.1  # One address may ask sixty times a minute.


def ask_at_rate(url: str, name: str, rate: float, seconds: float, *, repeated: bool) -> None:
    """Print percentiles of the times of what was answered, and all statuses."""
    questions = [row.question for row in generate_faq(8, seed=2)]
    headers = {"Authorization": f"Bearer {os.environ['LATHE_TOKEN']}"}
    # Not httpx, which takes several milliseconds of the same two cores for each question.
    pool = urllib3.connection_from_url(
        url, maxsize=CONNECTIONS, headers=headers, timeout=30, retries=False
    )

    def ask() -> tuple[int, float]:
        started = time.perf_counter()
        own = "" if repeated else f" My order is {random.randrange(10**9)}."
        body = {"text": random.choice(questions) + own}
        status = pool.request("POST", f"/v1/assistants/{name}/consult", json=body).status
        return status, (time.perf_counter() - started) * 1000

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        started, running = time.perf_counter(), []
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            running.append(threads.submit(ask))
    answered = [one.result() for one in running if one.exception() is None]
    took = [milliseconds for status, milliseconds in answered if status == 200]
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [float("nan")] * 99
    print(
        f"{rate:g} questions/s for {seconds:g} s: p50 {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms,"
        f" statuses {dict(Counter(status for status, _ in answered))},"
        f" lost {len(running) - len(answered)}"
    )


async def keep_visitors(url: str, key: str) -> None:
    """Open one stream after the other; print how many are open when all have been opened."""
    async with httpx.AsyncClient(base_url=url, timeout=None, limits=httpx.Limits()) as client:
        streams = []
        for number in range(VISITORS):
            body = {"text": "Where is my order?", "id": str(number)}
            said = (await client.post(f"/w/{key}/messages", json=body)).json()
            opening = client.stream("GET", f"/w/{key}/stream", params={"visitor": said["visitor"]})
            streams.append((opening, await opening.__aenter__()))
            await asyncio.sleep(SECONDS_BETWEEN_VISITORS)
        open_ones = sum(not stream.is_closed for _, stream in streams)
        print(f"{open_ones} of {VISITORS} visitors' streams are open; look at the process now.")
        await asyncio.sleep(60)
        for opening, _ in streams:
            await opening.__aexit__(None, None, None)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("assistant")
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--repeated", action="store_true")
    parser.add_argument("--key", default="")
    options = parser.parse_args()
    ask_at_rate(
        options.url, options.assistant, options.rate, options.seconds, repeated=options.repeated
    )
    if options.key:
        asyncio.run(keep_visitors(options.url, options.key))


if __name__ == "__main__":
    main()
