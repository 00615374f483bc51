"""Typed readers of environment variables; any NAME may come from the file NAME_FILE names."""

import ipaddress
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def optional(name: str, default: str = "") -> str:
    """The variable's text, its NAME_FILE's content, or the default."""
    if name in os.environ:
        return os.environ[name]
    if secret_file := os.environ.get(f"{name}_FILE"):
        return Path(secret_file).read_text().strip()
    return default


def required(name: str) -> str:
    """The variable's text; raises ImproperlyConfigured when it is unset or empty."""
    value = optional(name)
    if not value:
        raise ImproperlyConfigured(f"Set {name} (or {name}_FILE) in the environment.")
    return value


def boolean(name: str, default: bool = False) -> bool:
    """True for 1/true/yes/on, false for 0/false/no/off; anything else is refused loudly."""
    text = optional(name, str(default)).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off", ""}:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {text!r}.")


def integer(name: str, default: int) -> int:
    """A whole number; refuses anything else loudly."""
    text = optional(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}.") from None


def comma_separated(name: str, default: str = "") -> list[str]:
    """Comma-separated words."""
    return [word.strip() for word in optional(name, default).split(",") if word.strip()]


def networks(name: str, default: str = "") -> list[str]:
    """Comma-separated addresses and networks, such as "10.0.0.0/8"; refuses others loudly."""
    words = comma_separated(name, default)
    for word in words:
        try:
            ipaddress.ip_network(word, strict=False)
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} must list IP addresses and networks such as 10.0.0.0/8, not {word!r}."
            ) from None
    return words


def load_dotenv(path: Path) -> None:
    """Read KEY=value lines into the environment; what is already set there wins."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not key.lstrip().startswith("#"):
            os.environ.setdefault(key.strip(), value.strip().strip("'\""))


# libpq's: a server that a network no longer reaches is noticed well within a lease.
LIBPQ_TIMEOUTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


def parse_database_url(url: str) -> dict[str, object]:
    """Django's DATABASES entry for postgresql://user:password@host:port/name?host=/socket/folder."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            "DATABASE_URL must start with postgresql:// (no other database)."
        )
    options = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    host = unquote(options.pop("host", parts.hostname or ""))
    port = options.pop("port", str(parts.port or ""))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": port,
        "OPTIONS": LIBPQ_TIMEOUTS | {key: unquote(value) for key, value in options.items()},
    }


def pool_options(size: int) -> dict[str, int]:
    """psycopg's pool for a process whose threads share at most `size` connections."""
    return {
        "min_size": min(2, size),
        "max_size": size,
        "timeout": 5,  # Seconds a request waits for one; then it is answered 429.
        "reconnect_timeout": 1,  # Else a pool that saw an outage would try again ever more rarely.
    }
