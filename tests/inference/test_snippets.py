"""Every snippet runs as pasted, and asks the row that it shows."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from inference.snippets import snippets_for

pytestmark = pytest.mark.django_db
PICTURE = b"\x89PNG" + bytes(range(256))
# Does with a body what the package of this name does with it.
OPENAI_STUB = """
export default class OpenAI {
  constructor({ baseURL, apiKey }) { Object.assign(this, { baseURL, apiKey }); }
  async post(path, { body }) {
    const headers = { Authorization: `Bearer ${this.apiKey}`, "Content-Type": "application/json" };
    const answer = await fetch(this.baseURL + path, {
      method: "POST", headers, body: JSON.stringify(body) });
    return answer.json();
  }
  chat = { completions: { create: async (body) => {
    const { choices } = await this.post("/chat/completions", { body: { ...body, stream: false } });
    return (async function* () {
      yield { choices: [{ delta: choices[0].message }] };
      yield { choices: [] };
    })();
  } } };
}
"""


@pytest.fixture
def asked(settings):
    """What a server at PUBLIC_URL was asked, and that it answers."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, self.headers["Authorization"], body))
            message = {"role": "assistant", "content": "the answer"}
            choice = {"index": 0, "message": message, "delta": message, "finish_reason": "stop"}
            facts = {"id": "1", "created": 1, "model": "m", "object": "chat.completion.chunk"}
            content = json.dumps(
                {"data": [{"label": "the answer"}], "choices": [choice], **facts}
            ).encode()
            kind = "application/json"
            if body.get("stream"):
                kind, content = "text/event-stream", b"data: " + content + b"\n\ndata: [DONE]\n\n"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.PUBLIC_URL = f"http://127.0.0.1:{server.server_address[1]}"
    yield seen
    server.shutdown()
    server.server_close()


def run(snippet, folder):
    if snippet.id in ("fetch", "openai-js"):
        (folder / "ask.mjs").write_text(snippet.code)
        command = ["node", "ask.mjs"]
    elif snippet.code.startswith(("curl", "(printf")):
        command = ["/bin/sh", "-c", snippet.code]
    else:
        command = [sys.executable, "-c", snippet.code]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LATHE_API_TOKEN": "lathe_x"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout


TEXT = 'It\'s “50 %”, `${x}` \\ "so"\n退款'
KINDS = {
    "text": ({"kind": "text", "columns": ["text"]}, TEXT),
    "texts": ({"kind": "text", "columns": ["a b", "it's"]}, {"a b": TEXT, "it's": ""}),
    "image": ({"kind": "image"}, base64.b64encode(PICTURE).decode()),
    "chat": ({"kind": "chat", "columns": ["messages"]}, TEXT),
}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("node") or not shutil.which("curl"), reason="needs them")
@pytest.mark.parametrize("kind", KINDS)
def test_each_snippet_runs_as_pasted(deployment, asked, kind, tmp_path, monkeypatch):
    inputs, row = KINDS[kind]
    deployment.model.manifest = {"inputs": inputs}
    deployment.model.task = "text-generation" if kind == "chat" else "text-classification"
    monkeypatch.setattr("inference.snippets.example_text", lambda model: TEXT)
    (tmp_path / "picture.png").write_bytes(PICTURE)
    package = tmp_path / "node_modules" / "openai"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"main": "index.mjs"}')
    (package / "index.mjs").write_text(OPENAI_STUB)
    snippets = snippets_for(deployment)
    assert {"curl", "python", "openai", "fetch", "openai-js"} <= {one.id for one in snippets}
    for snippet in snippets:
        assert "the answer" in run(snippet, tmp_path), snippet.id
        path, credential, body = asked.pop()
        assert (credential, body["model"]) == ("Bearer lathe_x", deployment.name)
        if kind == "chat":
            assert path == "/v1/chat/completions"
            assert body["messages"] == [{"role": "user", "content": row}], snippet.id
        else:
            assert path == "/v1/classify"
            sent = body.get("input", body.get("inputs"))
            assert (sent[0] if isinstance(sent, list) else sent) == row, snippet.id
