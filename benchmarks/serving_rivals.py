"""The servers that benchmarks.serving measures beside Lathe's: what one would write at first."""

import asyncio
import importlib
import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

try:
    litserve: Any = importlib.import_module("litserve")
    LitAPI: Any = litserve.LitAPI
except ImportError:  # It has an interpreter of its own.
    LitAPI = object

Classify = Callable[[str], Any]


def open_onnx(artifact: Path) -> Any:
    """The model by ONNX Runtime, from its int8 file if it has one: what there is without Lathe's
    own kernel. Whether int8 answers well enough to be served is not asked."""
    from engine.artifact import read_manifest
    from engine.serving.text import TextClassifier

    manifest = read_manifest(artifact)
    has_int8 = (artifact / "model.int8.onnx").exists()
    file = "model.int8.onnx" if has_int8 else manifest.serving.file
    serving = manifest.serving.model_copy(update={"file": file, "engine": "onnxruntime"})
    return TextClassifier(artifact, 1, manifest.model_copy(update={"serving": serving}))


def unbatched(artifact: Path) -> Classify:
    """By ONNX Runtime, with two threads, one text at a time."""
    classifier = open_onnx(artifact)

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


def serve_alone(name: str, port: str, artifact: str) -> None:
    """`unbatched` or `pipeline` under the HTTP server that Lathe has."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    rivals = {"unbatched": (unbatched, 2), "pipeline": (pipeline, 1)}
    make, threads = rivals[name]
    target = application(make(Path(artifact)), threads)
    server = Server(
        target, port=int(port), interface=Interfaces.ASGINL, log_enabled=False, websockets=False
    )
    asyncio.run(server.serve())


class LitserveApi(LitAPI):  # type: ignore[misc]
    """The same ONNX file under LitServe, which sends this class to its processes.

    A batch is padded and computed at once, as one would write it: answers of int8 files then depend
    on their neighbours. Batches of one have the same answers as Lathe's.
    """

    def __init__(self, artifact: Path, **options: Any) -> None:
        super().__init__(api_path="/v1/classify", **options)
        self.artifact = artifact

    def setup(self, device: str) -> None:
        self.classifier = open_onnx(self.artifact)

    def decode_request(self, request: dict[str, str]) -> str:
        return request["input"]

    def batch(self, inputs: list[str]) -> list[str]:
        return inputs

    def predict(self, texts: str | list[str]) -> Any:
        from engine.serving.answers import softmax

        rows = [texts] if isinstance(texts, str) else texts
        outputs = softmax(self.classifier._run_padded(self.classifier.encode(rows)))
        return outputs[0] if isinstance(texts, str) else outputs

    def unbatch(self, outputs: Any) -> list[Any]:
        return list(outputs)

    def encode_response(self, scores: Any) -> dict[str, Any]:
        named = zip(self.classifier.labels, scores.tolist(), strict=True)
        return {"data": [{"scores": [{"label": one, "score": share} for one, share in named]}]}


def serve_with_litserve(port: str, artifact: str, batch: str, workers: str, servers: str) -> None:
    """Of an interpreter that has LitServe."""
    size = {"max_batch_size": int(batch), "batch_timeout": 0.0002} if int(batch) > 1 else {}
    server = litserve.LitServer(
        LitserveApi(Path(artifact), **size), accelerator="cpu", workers_per_device=int(workers)
    )
    server.run(
        host="127.0.0.1", port=int(port), num_api_servers=int(servers), log_level="error",
        generate_client_file=False,
    )  # fmt: skip


def main(name: str, *options: str) -> None:
    if name == "litserve":
        serve_with_litserve(*options)
    else:
        serve_alone(name, *options)


if __name__ == "__main__":
    main(*sys.argv[1:])
