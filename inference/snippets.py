"""Code that calls a deployment, ready to paste, with its address and name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from inference.forms.playground import PICTURE, example_row
from inference.models import Deployment
from training.queries.report.example_inputs import example_text

PICTURE_FILE = "picture.png"


@dataclass(frozen=True)
class Snippet:
    """One way to call it."""

    id: str
    title: str
    code: str


def snippets_for(deployment: Deployment) -> list[Snippet]:
    """curl, the official openai client, plain Python, and Hugging Face's body. They ask a row that
    the model was tested on."""
    text = example_text(deployment.model)
    url, name = f"{settings.PUBLIC_URL}/v1", deployment.name
    if deployment.model.task == "text-generation":
        chat = {"model": name, "messages": [{"role": "user", "content": text}]}
        return [
            Snippet("openai", "openai client", _openai_chat(url, name, text)),
            Snippet("curl", "curl", _curl(url, chat, "/chat/completions")),
        ]
    example = example_row(deployment, text)
    if example is PICTURE:
        return [
            Snippet("curl", "curl", _curl_of_picture(url, name)),
            Snippet("python", "Python", _python(url, name, example)),
            Snippet("openai", "openai client", _openai(url, name, example)),
        ]
    hugging_face = {"model": name, "inputs": example}
    return [
        Snippet("curl", "curl", _curl(url, {"model": name, "input": example})),
        Snippet("python", "Python", _python(url, name, example)),
        Snippet("openai", "openai client", _openai(url, name, example)),
        Snippet("hugging-face", "Hugging Face body", _curl(url, hugging_face)),
    ]


def _curl(url: str, body: Mapping[str, object], path: str = "/classify") -> str:
    quoted = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    return (
        f"curl {url}{path} \\\n"
        '  -H "Authorization: Bearer $LATHE_API_TOKEN" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{quoted}'"
    )


def _curl_of_picture(url: str, name: str) -> str:
    """By standard input: a picture is longer than an argument of a command may be."""
    return (
        f"""(printf '{{"model": "{name}", "input": "'\n"""
        f""" base64 < {PICTURE_FILE} | tr -d '\\n'\n"""
        """ printf '"}') |\n"""
        f"  curl {url}/classify \\\n"
        '  -H "Authorization: Bearer $LATHE_API_TOKEN" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        "  -d @-"
    )


def _python(url: str, name: str, example: Any) -> str:
    return (
        f"import {_modules(example)}, requests\n\n"
        "answer = requests.post(\n"
        f'    "{url}/classify",\n'
        '    headers={"Authorization": f"Bearer {os.environ[\'LATHE_API_TOKEN\']}"},\n'
        f'    json={{"model": "{name}", "input": [{_python_literal(example)}]}},\n'
        ")\n"
        'for item in answer.json()["data"]:\n'
        "    print(item)"
    )


def _openai(url: str, name: str, example: Any) -> str:
    return (
        f"import {_modules(example)}\n"
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{url}", api_key=os.environ["LATHE_API_TOKEN"])\n'
        "answer = client.post(\n"
        '    "/classify",\n'
        "    cast_to=object,\n"
        f'    body={{"model": "{name}", "input": {_python_literal(example)}}},\n'
        ")\n"
        'print(answer["data"][0])'
    )


def _openai_chat(url: str, name: str, text: str) -> str:
    return (
        "import os\n"
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{url}", api_key=os.environ["LATHE_API_TOKEN"])\n'
        "stream = client.chat.completions.create(\n"
        f'    model="{name}",\n'
        f'    messages=[{{"role": "user", "content": {_python_literal(text)}}}],\n'
        "    stream=True,  # Without temperature and top_p, the model's own hold.\n"
        ")\n"
        "for chunk in stream:\n"
        '    print(chunk.choices[0].delta.content or "", end="")'
    )


def _modules(example: Any) -> str:
    return "base64, os" if example is PICTURE else "os"


def _python_literal(example: Any) -> str:
    """As Python source: like JSON, but for true and false; a picture is read from its file."""
    if example is PICTURE:
        return f'base64.b64encode(open("{PICTURE_FILE}", "rb").read()).decode()'
    if isinstance(example, dict):
        pairs = (
            f"{_python_literal(name)}: {_python_literal(value)}" for name, value in example.items()
        )
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(example, ensure_ascii=False) if isinstance(example, str) else repr(example)
