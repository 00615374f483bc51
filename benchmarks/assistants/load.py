"""How quickly an assistant answers under load, at a running product.

    python -m benchmarks.assistants.load URL ASSISTANT [--rate 20] [--seconds 60] [--key ch_…]

LATHE_TOKEN holds an API token. Questions are the generator's, sent on time whether or not earlier
ones were answered. With --key, the key of a widget, 500 visitors then keep their streams open.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections import Counter

import httpx

from assistants.demo_data import generate_faq

VISITORS, SECONDS_BETWEEN_VISITORS = 500, 1.1  # One address may ask sixty times a minute.


async def ask_at_rate(url: str, name: str, rate: float, seconds: float) -> None:
    """Print percentiles of the times of what was answered, and all statuses."""
    questions = [row.question for row in generate_faq(8, seed=2)]
    headers = {"Authorization": f"Bearer {os.environ['LATHE_TOKEN']}"}
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    took: list[float] = []
    statuses: Counter[int] = Counter()

    async with httpx.AsyncClient(
        base_url=url, headers=headers, limits=limits, timeout=30
    ) as client:

        async def ask() -> None:
            started = time.perf_counter()
            body = {"text": random.choice(questions)}
            answer = await client.post(f"/v1/assistants/{name}/consult", json=body)
            statuses[answer.status_code] += 1
            if answer.status_code == 200:
                took.append((time.perf_counter() - started) * 1000)

        started = time.perf_counter()
        running = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            running.append(asyncio.create_task(ask()))
        await asyncio.gather(*running, return_exceptions=True)
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [float("nan")] * 99
    print(
        f"{rate:g} questions/s for {seconds:g} s: p50 {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms,"
        f" statuses {dict(statuses)}, lost {int(rate * seconds) - statuses.total()}"
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
    parser.add_argument("--key", default="")
    options = parser.parse_args()
    asyncio.run(ask_at_rate(options.url, options.assistant, options.rate, options.seconds))
    if options.key:
        asyncio.run(keep_visitors(options.url, options.key))


if __name__ == "__main__":
    main()
