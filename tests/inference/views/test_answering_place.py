"""The deployment page says where its language model is answered."""

from contextlib import ExitStack

import pytest
from django.urls import reverse

from inference.gateway.upstream import vllm
from tests.inference.processes import free_port
from tests.inference.vllm_stand_in import BASE, VllmStandIn, serving

ADAPTER = {"files": {"adapter/adapter_config.json": {"sha256": "0", "bytes": 1}}}


@pytest.fixture
def writer(model, deployment):
    model.task, model.base_model, model.manifest = (
        "text-generation", "SmolLM2-135M-Instruct", ADAPTER,
    )  # fmt: skip
    model.save()
    return deployment


@pytest.fixture
def place(settings, client_of, alice):
    with ExitStack() as stack:

        def read(deployment, stand_in):
            url = f"http://127.0.0.1:{free_port()}"
            settings.VLLM_URLS = [stack.enter_context(serving(stand_in)) if stand_in else url]
            vllm._servers_at.cache_clear()
            address = reverse("inference:answering-place", args=[deployment.pk])
            return client_of(alice).get(address).content.decode()

        yield read


def test_by_vllm_by_nobody_or_here(writer, model, place):
    assert "Answered by vLLM" in place(writer, VllmStandIn(models=[BASE]))
    assert "own models process" in place(writer, VllmStandIn(models=["another"]))
    assert "has not answered yet" in place(writer, None)
    model.manifest = {"files": {"model.safetensors": {}}}
    model.save()
    assert "own models process" in place(writer, VllmStandIn(models=[BASE]))
    assert "Answered by vLLM" in place(writer, VllmStandIn(models=[str(model.pk)]))


def test_a_server_that_went_away_is_told(writer, place):
    stand_in = VllmStandIn()
    place(writer, stand_in)
    (server,) = vllm.vllm_servers()
    stand_in.lists = False
    server.refresh(at_once=True)
    from inference.queries.answering_place import read_answering_place

    assert read_answering_place(writer) == "vllm-away"


def test_the_page_asks_only_where_vllm_is_set_up(writer, client_of, alice, settings, model):
    page, place = (reverse(f"inference:{name}", args=[writer.pk])
                   for name in ("deployment", "answering-place"))  # fmt: skip
    assert place not in client_of(alice).get(page).content.decode()
    settings.VLLM_URLS = ["http://127.0.0.1:9"]
    assert place in client_of(alice).get(page).content.decode()
    model.task = "text-classification"
    model.save()
    assert place not in client_of(alice).get(page).content.decode()


def test_strangers_see_nothing(writer, client_of, mallory):
    address = reverse("inference:answering-place", args=[writer.pk])
    assert client_of(mallory).get(address).status_code == 404
