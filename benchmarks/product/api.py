"""Steps of a newcomer through the API: upload, wait, and stop at what is refused."""

import time
from pathlib import Path
from typing import Any

import httpx

PATIENCE_SECONDS = 3600


def upload(api: httpx.Client, path: Path) -> dict[str, Any]:
    project = checked(api.post("/api/v1/projects", json={"name": f"Benchmark {path.stem}"}))
    with path.open("rb") as file:
        answer = api.post(
            "/api/v1/datasets",
            files={"file": (path.name, file)},
            data={"project": project["id"], "name": path.stem},
        )
    return settled(api, f"/api/v1/datasets/{checked(answer)['id']}", "ready")


def settled(api: httpx.Client, path: str, wanted: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        body = checked(api.get(path))
        if body["status"] == wanted:
            return body
        if body["status"] in {"failed", "cancelled"}:
            raise SystemExit(f"{path} ended {body['status']}: {body.get('failure')}")
        time.sleep(1)
    raise SystemExit(f"{path} took longer than {PATIENCE_SECONDS} s")


def checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.url}: {answer.text}")
    body: dict[str, Any] = answer.json()
    return body
