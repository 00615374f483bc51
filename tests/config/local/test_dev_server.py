"""`make up`: which ports it takes, and what it says once everything answers."""

import json
import socket

import pytest

from config.local import dev_server, ports
from config.local.dev_server import Ports, StartupError, choose_ports


@pytest.fixture
def taken(monkeypatch) -> set[int]:
    """Ports that somebody else uses."""
    busy: set[int] = set()
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setattr(dev_server, "is_port_free", lambda port: port not in busy)
    monkeypatch.setattr(dev_server, "find_free_port", lambda _: 40_000)
    return busy


def test_the_usual_ports_when_they_are_free(taken):
    assert choose_ports() == Ports(web=8000, models=(8001,))
    assert choose_ports().url == "http://localhost:8000"


def test_the_next_free_port_and_a_word_about_it(taken, capsys):
    taken |= {8000, 8001, 8002}
    assert choose_ports() == Ports(web=8003, models=(40_000,))
    assert "Port 8000 is in use" in capsys.readouterr().out


def test_any_port_when_a_hundred_are_taken(taken):
    taken |= set(range(8000, 8100))
    assert choose_ports().web == 40_000


def test_web_may_take_the_port_that_models_usually_has(taken):
    taken |= {8000}
    assert choose_ports() == Ports(web=8001, models=(40_000,))


def test_a_port_that_was_named_is_used_or_refused_never_replaced(taken, monkeypatch):
    monkeypatch.setenv("PORT", "9000")
    assert choose_ports() == Ports(web=9000, models=(40_000,))
    taken |= {9000}
    with pytest.raises(StartupError, match="Port 9000 is in use.*PORT="):
        choose_ports()


def test_who_uses_a_port_is_named():
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        number = server.getsockname()[1]
        assert not ports.is_port_free(number)
        assert f"(process {dev_server.os.getpid()})" in dev_server._describe_port_user(number)
        assert ports.find_free_port(number) != number
    assert ports.is_port_free(number)
    assert ports.find_free_port(number) == number
    assert dev_server._describe_port_user(number) == ""


def test_the_welcome_names_the_demo_and_a_request_to_try(monkeypatch, tmp_path):
    monkeypatch.delenv("EMAIL_BACKEND", raising=False)
    monkeypatch.setenv("LATHE_VAR", str(tmp_path))
    demo = "Sign in as demo@lathe.test\n" + json.dumps({"token": "lathe_abc"})
    text = dev_server._welcome_text(Ports(8000, (8001,)), demo)
    assert "Lathe is ready: http://localhost:8000" in text
    assert "Sign in as demo@lathe.test" in text
    assert "curl http://localhost:8000/api/v1/me -H 'Authorization: Bearer lathe_abc'" in text
    assert '"token"' not in text
    assert f"E-mails become files in {tmp_path}/mail;" in text
    monkeypatch.delenv("LATHE_VAR")
    assert "E-mails become files in var/mail;" in dev_server._email_destination_text()


def test_without_a_demo_the_welcome_says_how_to_sign_up(monkeypatch):
    monkeypatch.setenv("EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
    monkeypatch.setenv("EMAIL_HOST", "smtp.lathe.test")
    text = dev_server._welcome_text(Ports(8000, (8001,)), "")
    assert "Sign up at http://localhost:8000/accounts/signup/" in text
    assert "$TOKEN" in text
    assert "E-mails go through smtp.lathe.test." in text


def test_a_web_process_that_does_not_answer_is_not_healthy():
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        assert not dev_server._is_healthy(server.getsockname()[1])


def test_servers_that_ended_are_started_again_and_looked_at_only_now_and_then(
    monkeypatch, tmp_path
):
    class Printer:
        lines: list[str] = []

        def print_lines(self, text: str) -> None:
            self.lines.append(text)

    now, started = [100.0], []
    monkeypatch.setattr(dev_server.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(dev_server.embedded, "running_urls", lambda _: None)
    monkeypatch.setattr(dev_server.embedded, "ensure_running", started.append)
    check = dev_server._build_servers_check(tmp_path, Printer())
    check()
    assert started == []
    now[0] += dev_server.SERVERS_CHECK_SECONDS
    check()
    check()
    assert started == [tmp_path]
    assert len(Printer.lines) == 1
