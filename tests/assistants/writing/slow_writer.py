"""A stand-in for an upstream writer that says one sentence, begins the next, and then waits."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from assistants.models import Version

FIRST = "Hand hammocks to the harbour master before the tide turns."
SECOND = "The warehouse in Rotterdam stores hammocks."
INVENTED = "Pay $9 to the harbour master."
QUESTION = "to whom do i hand hammocks before the tide turns"
PRIVATE_WRITER = {"LATHE_WEBHOOKS_ALLOW_HTTP": "true", "LATHE_WEBHOOKS_ALLOW_PRIVATE": "true"}


def let_write(version: Version, url: str) -> None:
    """What the version froze, as if it had been built with this writer."""
    writer = {"model": "w", "url": url, "style": ""}
    Version.objects.filter(pk=version.pk).update(writer=writer)


class SlowWriter:
    """Speaks OpenAI's stream. `may_end` lets it go on after its first sentence."""

    def __init__(self) -> None:
        self.may_end, self.asked, self.streams = threading.Event(), [], True
        writer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                writer.asked.append(body)
                if body.get("stream") and not writer.streams:
                    self.send_error(422)
                    return
                self.send_response(200)
                self.end_headers()
                if body.get("stream"):
                    self.send_pieces()
                else:
                    choices = [{"message": {"content": f"{FIRST} [1]"}}]
                    whole = {"choices": choices, "usage": {"total_tokens": 7}}
                    self.wfile.write(json.dumps(whole, indent=1).encode())

            def send_pieces(self) -> None:
                self.say(f"{FIRST} [1", "] The wareh")
                writer.may_end.wait(30)
                self.say("ouse in Rotterdam stores hammocks [1", f"]. {INVENTED} [1] {FIRST} [1]")
                self.send({"choices": [], "usage": {"total_tokens": 42}})
                self.wfile.write(b"data: [DONE]\n\n")

            def say(self, *pieces: str) -> None:
                for piece in pieces:
                    self.send({"choices": [{"index": 0, "delta": {"content": piece}}]})

            def send(self, event: dict) -> None:
                self.wfile.write(b"data: " + json.dumps(event).encode() + b"\r\n\r\n")
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.may_end.set()
        self._server.shutdown()
        self._server.server_close()
