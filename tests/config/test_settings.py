"""What the settings make of the environment: https, storage, keys."""

import json
import os
import subprocess
import sys

import pytest
from django.test import Client, override_settings

from tests.architecture.imports import PROJECT

NAMES = [
    "SESSION_COOKIE_SECURE",
    "CSRF_COOKIE_SECURE",
    "SECURE_HSTS_SECONDS",
    "SECURE_PROXY_SSL_HEADER",
    "CSRF_TRUSTED_ORIGINS",
    "SECURE_SSL_REDIRECT",
    "STORAGES",
    "SECRET_KEY_FALLBACKS",
    "IS_HTTPS",
    "PUBLIC_URL",
    "DEBUG",
    "CONTENT_SECURITY_POLICY",
    "REQUIRE_VERIFIED_EMAIL",
    "MAX_OWNED_TEAMS",
    "ACCOUNT_EMAIL_VERIFICATION",
    "TRUSTED_PROXIES",
    "ALLOWED_HOSTS",
    "DATABASES",
]


def settings_with(**variables: str) -> dict:
    """The settings in a process with these environment variables."""
    program = (
        "import json; from config import settings;"
        f"print(json.dumps({{name: getattr(settings, name) for name in {NAMES!r}}}))"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "k",
        "LATHE_VAR": os.environ["LATHE_VAR"],
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=environment | {"DATABASE_URL": "postgresql://h/d"} | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def https() -> dict:
    return settings_with(
        PUBLIC_URL="https://lathe.test/",
        STORAGE_URL="s3://bucket/some/prefix",
        SECRET_KEY_FALLBACKS="old,older",
        STRIPE_SECRET_KEY="sk_test_1",
        TRUSTED_PROXIES="10.0.0.0/8, ::1",
        DB_POOL_SIZE="7",
    )


@pytest.fixture(scope="module")
def http() -> dict:
    return settings_with()


def test_https_makes_cookies_secure_and_trusts_the_proxys_header(https):
    assert https["IS_HTTPS"]
    assert https["SESSION_COOKIE_SECURE"]
    assert https["CSRF_COOKIE_SECURE"]
    assert https["SECURE_HSTS_SECONDS"] == 3600
    assert https["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert https["CSRF_TRUSTED_ORIGINS"] == ["https://lathe.test"]
    assert https["PUBLIC_URL"] == "https://lathe.test"


def test_plain_http_trusts_no_header_and_sets_no_hsts(http):
    assert not http["SESSION_COOKIE_SECURE"]
    assert not http["CSRF_COOKIE_SECURE"]
    assert http["SECURE_HSTS_SECONDS"] == 0
    assert http["SECURE_PROXY_SSL_HEADER"] is None
    assert http["DEBUG"] is False


def test_no_proxy_is_trusted_and_no_test_host_answers_unless_said(https, http):
    assert https["TRUSTED_PROXIES"] == ["10.0.0.0/8", "::1"]
    assert http["TRUSTED_PROXIES"] == []
    assert http["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]


def test_requests_share_connections_where_a_pool_is_set(https, http):
    assert https["DATABASES"]["default"]["OPTIONS"]["pool"]["max_size"] == 7
    assert "pool" not in http["DATABASES"]["default"]["OPTIONS"]


def test_a_bucket_and_its_prefix_come_from_the_storage_url(https, http):
    options = https["STORAGES"]["default"]["OPTIONS"]
    assert (options["bucket_name"], options["location"]) == ("bucket", "some/prefix")
    assert http["STORAGES"]["default"]["BACKEND"].endswith("FileSystemStorage")


def test_former_keys_and_stripes_pages(https, http):
    assert https["SECRET_KEY_FALLBACKS"] == ["old", "older"]
    assert (
        "https://checkout.stripe.com"
        in https["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["form-action"]
    )
    assert http["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["form-action"] == ["'self'"]


HTTPS_MODE = override_settings(
    SESSION_COOKIE_SECURE=True,
    CSRF_COOKIE_SECURE=True,
    SECURE_HSTS_SECONDS=3600,
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    CSRF_TRUSTED_ORIGINS=["https://lathe.test"],
    ALLOWED_HOSTS=["lathe.test"],
)


@pytest.mark.django_db
@HTTPS_MODE
def test_behind_a_proxy_pages_are_secure_and_forms_of_other_origins_are_refused(alice):
    client = Client(
        enforce_csrf_checks=True, headers={"host": "lathe.test", "x-forwarded-proto": "https"}
    )
    page = client.get("/accounts/login/")
    assert page.headers["Strict-Transport-Security"] == "max-age=3600"
    assert page.cookies["csrftoken"]["secure"]
    form = {
        "login": alice.email,
        "password": "correct horse battery",
        "csrfmiddlewaretoken": page.cookies["csrftoken"].value,
    }
    evil = client.post("/accounts/login/", form, headers={"origin": "https://evil.test"})
    assert evil.status_code == 403
    answer = client.post("/accounts/login/", form, headers={"origin": "https://lathe.test"})
    assert answer.status_code == 302
    assert answer.cookies["sessionid"]["secure"]
    assert answer.cookies["sessionid"]["httponly"]


@pytest.mark.django_db
@HTTPS_MODE
def test_what_came_to_the_proxy_by_http_gets_no_hsts():
    page = Client(headers={"host": "lathe.test", "x-forwarded-proto": "http"}).get(
        "/accounts/login/"
    )
    assert "Strict-Transport-Security" not in page.headers


@pytest.mark.slow
def test_strangers_are_held_to_a_policy_where_money_or_mail_flows(https):
    assert (https["REQUIRE_VERIFIED_EMAIL"], https["MAX_OWNED_TEAMS"]) == (True, 3)
    assert https["ACCOUNT_EMAIL_VERIFICATION"] == "mandatory"
    alone = settings_with()
    assert (alone["REQUIRE_VERIFIED_EMAIL"], alone["MAX_OWNED_TEAMS"]) == (False, 0)
    assert alone["ACCOUNT_EMAIL_VERIFICATION"] == "optional"
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    assert settings_with(EMAIL_BACKEND=smtp)["REQUIRE_VERIFIED_EMAIL"] is True
    assert (
        settings_with(EMAIL_BACKEND=smtp, REQUIRE_VERIFIED_EMAIL="false")[
            "ACCOUNT_EMAIL_VERIFICATION"
        ]
        == "optional"
    )
    assert settings_with(EMAIL_VERIFICATION="mandatory")["REQUIRE_VERIFIED_EMAIL"] is True
