"""A stand-in for an OpenAI-compatible audio server, over real HTTP on loopback."""

import email.parser
import email.policy
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Heard:
    """One request to /audio/transcriptions: its fields and the recording."""

    fields: dict[str, str]
    audio: bytes
    key: str


@dataclass
class AudioServer:
    """`transcript` is what it hears; `spoken` are the bytes it answers with."""

    transcript: str = ""
    spoken: bytes = b""
    status: int = 200
    heard: list[Heard] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                content = outer.answer(self.path, dict(self.headers), body)
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> bytes:
        key = headers.get("Authorization", headers.get("authorization", ""))
        if path == "/v1/audio/speech":
            self.asked.append(json.loads(body) | {"key": key})
            return self.spoken
        assert path == "/v1/audio/transcriptions"
        kind = headers.get("Content-Type", headers.get("content-type"))
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        parts = list(
            parser.parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).iter_parts()
        )
        named = {part.get_param("name", header="content-disposition"): part for part in parts}
        fields = {name: part.get_content() for name, part in named.items() if name != "file"}
        self.heard.append(Heard(fields, named["file"].get_payload(decode=True), key))
        return json.dumps({"text": self.transcript}).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
