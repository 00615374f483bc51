"""The processes of one machine and the environment they share."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.local import orphan_processes
from config.local.services import build_services, shared_environment


@pytest.fixture
def services(monkeypatch, tmp_path):
    def build(models_ports=(8101,), **variables: str):
        monkeypatch.delenv("TRAINERS", raising=False)
        monkeypatch.delenv("TRAININGS_YIELD", raising=False)
        monkeypatch.delenv("LOG_LEVEL", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        ports = {"port": 8100, "web_port": 8102, "models_ports": models_ports}
        built = build_services({"A": "1"}, tmp_path, host="0.0.0.0", **ports)
        return {service.name: service for service in built}

    return build


def test_one_of_each_and_one_trainer(services):
    workers = ["clock", "deliveries", "imports", "analyses", "batches", "background"]
    assert list(services()) == ["front", "web", "models", *workers, "trainer", "beat"]


def test_as_many_trainers_as_are_wanted_each_with_a_name_and_a_low_priority(services):
    trainers = {name: s for name, s in services(TRAINERS="3").items() if "trainer" in name}
    assert list(trainers) == ["trainer", "trainer2", "trainer3"]
    for name, service in trainers.items():
        assert f"{name}@%h" in service.command
        assert service.command[service.command.index("-Q") + 1] == "compute.cpu"
        assert service.niceness == 10


def test_trainers_that_need_not_yield_the_processor_have_the_usual_priority(services):
    assert services(TRAININGS_YIELD="false")["trainer"].niceness == 0


def test_a_number_of_trainers_that_is_none_is_refused(services):
    with pytest.raises(ImproperlyConfigured, match="TRAINERS"):
        services(TRAINERS="many")


def test_only_the_front_proxy_listens_where_others_can_reach_it(services):
    listening = {name: service.command for name, service in services().items()}

    def option(name, option):
        return listening[name][listening[name].index(option) + 1]

    assert (option("front", "--host"), option("front", "--port")) == ("0.0.0.0", "8100")
    assert option("front", "--web-port") == option("web", "--port") == "8102"
    assert option("web", "--host") == "127.0.0.1"
    assert option("models", "--port") == "8101"


def test_each_models_process_has_a_port_and_all_others_know_them(services, monkeypatch):
    built = services(models_ports=(8101, 8105, 8106))
    models = {name: built[name].command[-1] for name in built if name.startswith("models")}
    assert models == {"models": "8101", "models2": "8105", "models3": "8106"}
    assert [built[name].waits for name in models] == [False, True, True]
    monkeypatch.delenv("MODELS_URL", raising=False)
    environment = shared_environment(Path("/my/var"), 8100, [8101, 8105])
    assert environment["MODELS_URL"] == "http://127.0.0.1:8101,http://127.0.0.1:8105"


def test_only_those_that_compute_keep_idle_threads_from_spinning(services):
    built = services()
    passive = {name for name, s in built.items() if s.environment.get("OMP_WAIT_POLICY")}
    assert passive == {"models", "trainer"}
    assert all(service.environment["A"] == "1" for service in built.values())


def test_celery_takes_over_the_log_level(services):
    worker = services(LOG_LEVEL="WARNING")["clock"].command
    assert worker[worker.index("--loglevel") + 1] == "warning"


def test_what_is_set_already_wins_but_the_marker_never_is_another_installations(monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "https://lathe.test")
    monkeypatch.setenv(orphan_processes.MARKER_VARIABLE, "/another/var")
    monkeypatch.delenv("MODELS_URL", raising=False)
    environment = shared_environment(Path("/my/var"), 8100, [8101])
    assert environment["PUBLIC_URL"] == "https://lathe.test"
    assert environment["MODELS_URL"] == "http://127.0.0.1:8101"
    assert environment[orphan_processes.MARKER_VARIABLE] == "/my/var"


def test_what_nobody_waits_for_in_the_first_seconds_starts_last(services):
    waiting = {name for name, service in services().items() if service.waits}
    assert waiting == {"deliveries", "analyses", "batches", "background"}


def test_every_process_tells_its_figures_on_a_port_of_its_own(services):
    assert all("METRICS_PORT" not in service.environment for service in services().values())
    built = services(METRICS_PORT="9100").values()
    ports = [int(service.environment["METRICS_PORT"]) for service in built]
    assert ports == list(range(9100, 9100 + len(ports)))
