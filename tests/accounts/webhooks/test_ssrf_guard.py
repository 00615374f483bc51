"""No webhook reaches the operator's own network."""

import ipaddress
import socket
import ssl
import threading
import time

import pytest

from accounts.errors import InvalidWebhookUrl
from accounts.webhooks import http_client, ssrf_guard
from accounts.webhooks.ssrf_guard import is_allowed_address, validate_webhook_url
from tests.accounts.webhooks.receiver import receiving

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "::1", "::", "fe80::1", "fc00::1", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::10.0.0.1", "2002:7f00:1::", "ff02::1",
    "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8",
    "::ffff:0:127.0.0.1", "fec0::1", "fd00::1", "100::1", "5f00::1", "2001::1", "2001:10::1",
    "2001:db8::1", "3fff::1", "4000::1", "2002:a00:1::", "2a00:1450::5efe:10.0.0.1",
    "2a00:1450::200:5efe:192.168.0.1", "192.0.0.1", "192.0.0.192", "192.0.0.9", "192.88.99.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.0.2.1", "240.0.0.1", "255.255.255.255",
    "0.1.2.3", "239.1.1.1", "172.31.255.255", "100.127.255.255",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_however_they_are_written(address):
    assert not is_allowed_address(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::1.1.1.1", "2a00:1450::8",
     "172.32.0.1", "100.128.0.1", "192.0.1.1", "192.88.98.1", "2001:4860:4860::8888"],
)  # fmt: skip
def test_public_addresses_are_allowed(address):
    assert is_allowed_address(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "text",
    [
        "", "example.com", "ftp://example.com/", "http://example.com/", "https://", "https:///x",
        "https://user:pass@example.com/", "https://example.com/#x", "https://example.com:0/",
        "https://example.com:99999/", "https://localhost/", "https://a.localhost/", "https://db.internal/",
        "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/", "https://10.0.0.1:8443/",
        "javascript:alert(1)", "https://exa mple.com/", "https://example.com/" + "x" * 500, "https://\x00/",
        "https://xn--/", "https://xn--a/", "https://[::127.0.0.1]/", "https://192.0.0.192/",
        "https://[fec0::1]/", "https://\ud800.test/", "https://[/", "https://[::1",
    ],
)  # fmt: skip
def test_unusable_addresses_are_refused_with_a_sentence(text):
    with pytest.raises(InvalidWebhookUrl) as refusal:
        validate_webhook_url(text)
    assert refusal.value.sentence.endswith(".")


def test_usable_addresses_are_kept_as_they_will_be_called():
    assert (
        validate_webhook_url(" https://example.com:8443/a?b=c ") == "https://example.com:8443/a?b=c"
    )
    assert (
        validate_webhook_url("https://bücher.example/ä") == "https://xn--bcher-kva.example/%C3%A4"
    )


def test_self_hosters_may_allow_their_own_network(settings):
    settings.WEBHOOKS_ALLOW_HTTP = settings.WEBHOOKS_ALLOW_PRIVATE = True
    assert validate_webhook_url("http://10.0.0.1/hook") == "http://10.0.0.1/hook"


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "localhost"])
def test_nothing_is_sent_to_this_machine_under_any_of_its_names(host):
    with receiving() as server:
        answer = http_client.post(f"http://{host}:{server.server_port}/hook", {}, "{}")
        assert server.got == []
    assert answer.status is None
    assert "private" in answer.error or "cannot be found" in answer.error


def test_a_name_is_looked_up_once_so_rebinding_gains_nothing(monkeypatch):
    """The first answer is public, every later one this machine: only the first counts."""
    lookups = []

    def rebind(host, port, *_args, **_named):
        address = "198.51.100.7" if not lookups else "127.0.0.1"
        lookups.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    tried = []

    def connect(self, host, port, **_named):
        tried.append(host)
        raise ssrf_guard.httpcore.ConnectError("no route")

    monkeypatch.setattr(ssrf_guard, "is_allowed_address", lambda address: not address.is_loopback)
    monkeypatch.setattr(ssrf_guard.socket, "getaddrinfo", rebind)
    monkeypatch.setattr(ssrf_guard.httpcore.SyncBackend, "connect_tcp", connect)
    with receiving() as server:
        http_client.post(f"http://rebind.test:{server.server_port}/", {}, "{}")
        assert server.got == []
    assert lookups == ["rebind.test"]
    assert tried == ["198.51.100.7"]


def test_of_several_addresses_only_public_ones_are_tried(monkeypatch):
    def lookup(host, port, *_args, **_named):
        addresses = ["127.0.0.1", "1.1.1.1", "10.0.0.1", "::1"]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
        ]

    monkeypatch.setattr(ssrf_guard.socket, "getaddrinfo", lookup)
    assert ssrf_guard.resolve_allowed_addresses("mixed.test", 443) == ["1.1.1.1"]


def test_a_body_that_drips_for_ever_ends_at_the_deadline(settings, monkeypatch):
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    monkeypatch.setattr(http_client, "DEADLINE_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as door:
        stop = threading.Event()

        def drip() -> None:
            caller, _ = door.accept()
            caller.recv(65536)
            with caller:
                while not stop.is_set():
                    try:
                        caller.sendall(b"H")
                    except OSError:
                        return
                    time.sleep(0.1)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        answer = http_client.post(f"http://127.0.0.1:{door.getsockname()[1]}/", {}, "{}")
        took = time.monotonic() - began
        stop.set()
        thread.join()
    assert answer.status is None
    assert took < 10


def test_a_certificate_nobody_vouches_for_is_refused(settings, tmp_path):
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    with receiving() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        answer = http_client.post(f"https://127.0.0.1:{server.server_port}/", {}, "{}")
        assert server.got == []
    assert "certificate" in answer.error


def _self_signed(folder):
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
