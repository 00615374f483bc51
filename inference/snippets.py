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
    """curl, Python and JavaScript, each plain and with the official openai client, and Hugging
    Face's body. They ask a row that the model was tested on."""
    text = example_text(deployment.model)
    url, name = f"{settings.PUBLIC_URL}/v1", deployment.name
    if deployment.model.task == "text-generation":
        chat = {"model": name, "messages": [{"role": "user", "content": text}]}
        return [
            Snippet("openai", "openai client", _openai_chat(url, name, text)),
            Snippet("curl", "curl", _curl(url, chat, "/chat/completions")),
            Snippet("python", "Python", _python_chat(url, name, text)),
            Snippet("fetch", "JavaScript (fetch)", _fetch_chat(url, name, text)),
            Snippet("openai-js", "JavaScript (openai client)", _openai_js_chat(url, name, text)),
        ]
    example = example_row(deployment, text)
    is_picture = example is PICTURE
    ask = {"model": name, "input": example}
    snippets = [
        Snippet("curl", "curl", _curl_of_picture(url, name) if is_picture else _curl(url, ask)),
        Snippet("python", "Python", _python(url, name, example)),
        Snippet("openai", "openai client", _openai(url, name, example)),
        Snippet("fetch", "JavaScript (fetch)", _fetch(url, name, example)),
        Snippet("openai-js", "JavaScript (openai client)", _openai_js(url, name, example)),
    ]
    if not is_picture:
        hugging_face = _curl(url, {"model": name, "inputs": example})
        snippets.append(Snippet("hugging-face", "Hugging Face body", hugging_face))
    return snippets


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


def _python_chat(url: str, name: str, text: str) -> str:
    return (
        "import os, requests\n\n"
        "answer = requests.post(\n"
        f'    "{url}/chat/completions",\n'
        '    headers={"Authorization": f"Bearer {os.environ[\'LATHE_API_TOKEN\']}"},\n'
        "    json={\n"
        f'        "model": "{name}",\n'
        f'        "messages": [{{"role": "user", "content": {_python_literal(text)}}}],\n'
        "    },\n"
        ")\n"
        'print(answer.json()["choices"][0]["message"]["content"])'
    )


def _fetch(url: str, name: str, example: Any) -> str:
    body = _js_object(model=json.dumps(name), input=_js_literal(example))
    return (
        f"{_js_imports(example)}{_fetch_call(url, '/classify', body)}"
        "console.log((await answer.json()).data[0]);"
    )


def _fetch_chat(url: str, name: str, text: str) -> str:
    body = _js_object(model=json.dumps(name), messages=f"[{_js_message(text)}]")
    return (
        f"{_fetch_call(url, '/chat/completions', body)}"
        "console.log((await answer.json()).choices[0].message.content);"
    )


def _fetch_call(url: str, path: str, body: str) -> str:
    return (
        "// ask.mjs: node ask.mjs\n"
        f'const answer = await fetch("{url}{path}", {{\n'
        '  method: "POST",\n'
        "  headers: {\n"
        "    Authorization: `Bearer ${process.env.LATHE_API_TOKEN}`,\n"
        '    "Content-Type": "application/json",\n'
        "  },\n"
        f"  body: JSON.stringify({body}),\n"
        "});\n"
    )


def _openai_js(url: str, name: str, example: Any) -> str:
    body = _js_object(model=json.dumps(name), input=_js_literal(example))
    return (
        f"{_js_imports(example)}{_js_client(url)}"
        f'const answer = await client.post("/classify", {_js_object(body=body)});\n'
        "console.log(answer.data[0]);"
    )


def _openai_js_chat(url: str, name: str, text: str) -> str:
    messages = f"[{_js_message(text)}]"
    body = _js_object(model=json.dumps(name), messages=messages, stream="true")
    return (
        f"{_js_client(url)}"
        f"const stream = await client.chat.completions.create({body});\n"
        "for await (const chunk of stream)\n"
        '  process.stdout.write(chunk.choices[0]?.delta.content ?? "");'
    )


def _js_client(url: str) -> str:
    return (
        "// ask.mjs: npm install openai, then node ask.mjs\n"
        'import OpenAI from "openai";\n\n'
        "const client = new OpenAI({\n"
        f'  baseURL: "{url}",\n'
        "  apiKey: process.env.LATHE_API_TOKEN,\n"
        "});\n"
    )


def _js_imports(example: Any) -> str:
    return 'import { readFileSync } from "node:fs";\n\n' if example is PICTURE else ""


def _js_literal(example: Any) -> str:
    """As JavaScript source, which JSON is; a picture is read from its file."""
    if example is PICTURE:
        return f'readFileSync("{PICTURE_FILE}", "base64")'
    return json.dumps(example, ensure_ascii=False)


def _js_object(**fields: str) -> str:
    return "{ " + ", ".join(f"{name}: {value}" for name, value in fields.items()) + " }"


def _js_message(text: str) -> str:
    return _js_object(role='"user"', content=_js_literal(text))


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
