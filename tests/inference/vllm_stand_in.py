"""Stands in for vLLM: the paths, bodies and errors of its OpenAI-compatible server and of its
runtime API of LoRA adapters, with answers that a test scripts."""

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass
class VllmStandIn:
    """What it serves, what it was asked, and how it answers the next completions."""

    models: list[str] = field(default_factory=lambda: [BASE])
    api_key: str = ""
    words: tuple[str, ...] = ("Hel", "lo")
    reason: str = "stop"
    counts_each: bool = True  # Whether each part tells its usage.
    dies_after: int | None = None  # Parts, and then the connection breaks.
    pause_seconds: float = 0.0  # Before each part.
    refuses: list[tuple[int, object]] = field(default_factory=list)  # The next answers.
    refuses_load: tuple[int, object] | None = None
    lists: bool = True
    logprobs: object = None
    adapters: dict[str, str] = field(default_factory=dict)
    asked: list[dict] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    left: int = 0  # Clients that did not wait for the end.
    lock: Lock = field(default_factory=Lock)

    def answer(self, handler: "Handler", method: str, path: str, body: dict) -> None:
        with self.lock:
            self.calls.append(path)
        if self.api_key and handler.headers.get("authorization") != f"Bearer {self.api_key}":
            handler.say(401, {"error": "Unauthorized"})
        elif (method, path) == ("GET", "/v1/models") and self.lists:
            cards = [{"id": name, "root": name, "parent": None} for name in self.models]
            cards += [
                {"id": name, "root": root, "parent": self.models[0]}
                for name, root in self.adapters.items()
            ]
            handler.say(200, {"object": "list", "data": cards})
        elif path == "/v1/load_lora_adapter":
            self.load(handler, body)
        elif path == "/v1/unload_lora_adapter":
            if self.adapters.pop(body["lora_name"], None) is None:
                handler.say(404, error(404, f"The lora adapter '{body['lora_name']}' cannot be"))
            else:
                handler.say(200, "Success: removed")
        elif path == "/v1/completions":
            self.complete(handler, body)
        else:
            handler.say(500, "no such thing")

    def load(self, handler: "Handler", body: dict) -> None:
        name, folder = body["lora_name"], body["lora_path"]
        if self.refuses_load:
            handler.say(*self.refuses_load)
        elif name in self.adapters:
            handler.say(400, error(400, f"The lora adapter '{name}' has already been loaded."))
        elif not Path(folder, "adapter_config.json").is_file():
            handler.say(
                404, error(404, f"Loading lora {name} failed: No adapter found for {folder}")
            )
        else:
            self.adapters[name] = folder
            handler.say(200, f"Success: LoRA adapter '{name}' added successfully.")

    def complete(self, handler: "Handler", body: dict) -> None:
        self.asked.append(body)
        if self.refuses:
            handler.say(*self.refuses.pop(0))
            return
        if body["model"] not in (*self.models, *self.adapters):
            handler.say(404, error(404, f"The model `{body['model']}` does not exist."))
            return
        handler.begin_stream()
        prompt, told = len(body["prompt"]), 0
        for place, word in enumerate(self.words):
            if place == self.dies_after:
                handler.connection.close()
                return
            time.sleep(self.pause_seconds)
            told = place + 1
            is_last = told == len(self.words)
            choice = {"index": 0, "text": word, "finish_reason": self.reason if is_last else None}
            choice["logprobs"] = self.logprobs
            usage = {"usage": usage_of(prompt, told)} if self.counts_each else {}
            try:
                handler.part({"choices": [choice], **usage})
            except OSError:
                self.left += 1
                return
        handler.part({"choices": [], "usage": usage_of(prompt, told)})
        handler.wfile.write(b"data: [DONE]\n\n")


class Handler(BaseHTTPRequestHandler):
    stand_in: VllmStandIn

    def do_GET(self) -> None:
        self.stand_in.answer(self, "GET", self.path, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.stand_in.answer(self, "POST", self.path, body)

    def say(self, status: int, content: object) -> None:
        told = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        self.send_header("content-length", str(len(told.encode())))
        self.end_headers()
        self.wfile.write(told.encode())

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()

    def part(self, content: object) -> None:
        self.wfile.write(b"data: " + json.dumps(content).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


def error(status: int, message: str) -> dict:
    kind = "NotFoundError" if status == 404 else "BadRequestError"
    return {"object": "error", "message": message, "type": kind, "param": None, "code": status}


def usage_of(prompt: int, told: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": told, "total_tokens": prompt + told}


@contextmanager
def serving(stand_in: VllmStandIn, port: int = 0):
    """The base URL at which it answers."""
    handler = type("Bound", (Handler,), {"stand_in": stand_in})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
