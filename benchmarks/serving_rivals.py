"""The servers that benchmarks.serving measures beside Lathe's: what one would write at first."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

Classify = Callable[[str], Any]


def unbatched(artifact: Path) -> Classify:
    """The same ONNX file as Lathe serves, with two threads, one text at a time."""
    from engine.serving.text import TextClassifier

    classifier = TextClassifier(artifact, threads=1)

    def classify(text: str) -> Any:
        (scores,) = classifier.predict(classifier.encode([text])).tolist()
        named = zip(classifier.labels, scores, strict=True)
        found = [{"label": label, "score": score} for label, score in named]
        return sorted(found, key=lambda item: -float(item["score"]))

    return classify


def pipeline(artifact: Path) -> Classify:
    """A transformers pipeline on torch; its head is untrained, which changes no timing."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers import pipeline as make

    from engine import catalog
    from engine.artifact import read_manifest
    from engine.tasks.text import base_models

    manifest = read_manifest(artifact)
    folder = base_models.locate_base_model(catalog.get_base_model(manifest.base_model))
    logging.getLogger("transformers").setLevel(logging.ERROR)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=len(manifest.labels)
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    made: Any = make("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    return lambda text: made(text, truncation=True, max_length=manifest.inputs.max_length)


def application(classify: Classify, threads: int) -> Any:
    """POST anything: classify `input`."""
    pool = ThreadPoolExecutor(threads)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        text = json.loads(body)["input"]
        scores = await asyncio.get_running_loop().run_in_executor(pool, classify, text)
        content = json.dumps({"data": [{"scores": scores}]}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return answer


def main(name: str, port: str, artifact: str) -> None:
    rivals = {"unbatched": (unbatched, 2), "pipeline": (pipeline, 1)}
    make, threads = rivals[name]
    target = application(make(Path(artifact)), threads)
    server = Server(
        target, port=int(port), interface=Interfaces.ASGINL, log_enabled=False, websockets=False
    )
    asyncio.run(server.serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
