"""Reading the environment: what is set, what comes from a file, what is refused."""

import os

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


def test_an_unset_variable_is_its_default(monkeypatch):
    monkeypatch.delenv("LATHE_X", raising=False)
    monkeypatch.delenv("LATHE_X_FILE", raising=False)
    assert env.optional("LATHE_X") == ""
    assert env.optional("LATHE_X", "text") == "text"


def test_a_secret_may_come_from_the_file_that_name_file_names(monkeypatch, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret value\n")
    monkeypatch.setenv("LATHE_X_FILE", str(secret))
    assert env.optional("LATHE_X") == "s3cret value"
    assert env.required("LATHE_X") == "s3cret value"


def test_the_variable_itself_wins_over_its_file(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("from the file")
    monkeypatch.setenv("LATHE_X_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("LATHE_X", "")
    assert env.optional("LATHE_X", "default") == ""


def test_a_secret_file_that_is_missing_is_not_an_empty_secret(monkeypatch, tmp_path):
    monkeypatch.setenv("LATHE_X_FILE", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError):
        env.optional("LATHE_X", "default")


@pytest.mark.parametrize("value", [None, ""])
def test_a_required_variable_names_itself_when_it_is_missing(monkeypatch, value):
    monkeypatch.delenv("LATHE_X", raising=False)
    if value is not None:
        monkeypatch.setenv("LATHE_X", value)
    with pytest.raises(ImproperlyConfigured, match="LATHE_X"):
        env.required("LATHE_X")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        (" on ", True),
        ("0", False),
        ("False", False),
        ("no", False),
        ("off", False),
        ("", False),
    ],
)
def test_booleans(monkeypatch, text, expected):
    monkeypatch.setenv("LATHE_X", text)
    assert env.boolean("LATHE_X", not expected) is expected


@pytest.mark.parametrize("text", ["ture", "2", "yes please", "none"])
def test_a_misspelt_boolean_is_refused(monkeypatch, text):
    monkeypatch.setenv("LATHE_X", text)
    with pytest.raises(ImproperlyConfigured, match="LATHE_X"):
        env.boolean("LATHE_X", True)


def test_an_unset_boolean_is_its_default(monkeypatch):
    monkeypatch.delenv("LATHE_X", raising=False)
    assert env.boolean("LATHE_X", True) is True
    assert env.boolean("LATHE_X") is False


def test_integers(monkeypatch):
    monkeypatch.delenv("LATHE_X", raising=False)
    assert env.integer("LATHE_X", 7) == 7
    monkeypatch.setenv("LATHE_X", "-12")
    assert env.integer("LATHE_X", 7) == -12


@pytest.mark.parametrize("text", ["", "1.5", "1e3", "ten"])
def test_what_is_no_whole_number_is_refused(monkeypatch, text):
    monkeypatch.setenv("LATHE_X", text)
    with pytest.raises(ImproperlyConfigured, match="whole number"):
        env.integer("LATHE_X", 7)


def test_comma_separated_words_lose_spaces_and_empty_ones(monkeypatch):
    monkeypatch.setenv("LATHE_X", " a.test, b.test ,,")
    assert env.comma_separated("LATHE_X") == ["a.test", "b.test"]
    monkeypatch.delenv("LATHE_X")
    assert env.comma_separated("LATHE_X", "x,y") == ["x", "y"]


def test_dotenv_fills_in_what_is_not_set(monkeypatch, tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "# LATHE_A=comment\nLATHE_B='quoted = value'\n\nLATHE_C = 3 \nno equals sign\n"
    )
    monkeypatch.setattr(os, "environ", {"LATHE_C": "set before"})
    env.load_dotenv(dotenv)
    assert os.environ == {"LATHE_B": "quoted = value", "LATHE_C": "set before"}
    env.load_dotenv(tmp_path / "absent")


def test_a_database_url_is_taken_apart():
    entry = env.parse_database_url("postgresql://ann%40x:p%2Fw@db.test:6543/lathe?sslmode=require")
    assert (entry["NAME"], entry["USER"], entry["PASSWORD"]) == ("lathe", "ann@x", "p/w")
    assert (entry["HOST"], entry["PORT"]) == ("db.test", "6543")
    assert entry["OPTIONS"] == env.LIBPQ_TIMEOUTS | {"sslmode": "require"}


def test_a_database_url_may_name_a_socket_folder_and_other_timeouts():
    url = "postgres:///lathe?host=%2Fvar%2Frun%2Fpostgresql&port=5433&connect_timeout=2"
    entry = env.parse_database_url(url)
    assert (entry["HOST"], entry["PORT"]) == ("/var/run/postgresql", "5433")
    assert entry["OPTIONS"] == env.LIBPQ_TIMEOUTS | {"connect_timeout": "2"}


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite:///db.sqlite3", "lathe", "http://db/lathe"])
def test_another_database_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match="postgresql"):
        env.parse_database_url(url)


def test_networks_are_addresses_or_ranges_and_nothing_else(monkeypatch):
    monkeypatch.setenv("LATHE_X", "10.0.0.0/8, ::1")
    assert env.networks("LATHE_X") == ["10.0.0.0/8", "::1"]
    monkeypatch.setenv("LATHE_X", "10.0.0.0/8, proxy.internal")
    with pytest.raises(ImproperlyConfigured, match=r"LATHE_X.*proxy\.internal"):
        env.networks("LATHE_X")
