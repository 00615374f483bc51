"""Settings that are secrets: named in every backup, copied only when the operator asks."""

import os
from pathlib import Path

from django.conf import settings
from django.utils.crypto import salted_hmac

from config import env
from config.backup.errors import BackupError
from config.backup.manifest import SECRETS_FILE, Manifest

# AWS_… are read by boto3 itself.
SECRET_SETTINGS = (
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "DATABASE_URL",
    "REDIS_URL",
    "BROKER_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "EMAIL_HOST_PASSWORD",
    "GOOGLE_CLIENT_SECRET",
    "GITHUB_CLIENT_SECRET",
    "OIDC_CLIENT_SECRET",
    "METRICS_TOKEN",
    "SENTRY_DSN",
    "VLLM_API_KEY",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRETS",
    "STRIPE_THIN_WEBHOOK_SECRETS",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "RABBITMQ_PASSWORD",
)


def read_secrets() -> dict[str, str]:
    """Every secret that is set here; the key of `make up` counts as set."""
    values = {name: env.optional(name) for name in SECRET_SETTINGS}
    values["SECRET_KEY"] = settings.SECRET_KEY
    return {name: value for name, value in values.items() if value}


def write_secrets(folder: Path) -> Path:
    """A file like .env, which its owner alone may read."""
    path = folder / SECRETS_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in read_secrets().items())
    return path


def fingerprint(secret_key: str) -> str:
    """Tells whether two keys are the same, and nothing about either."""
    return salted_hmac("lathe.backup", "secret key", secret=secret_key).hexdigest()


def take_over_secret_key(folder: Path, manifest: Manifest) -> bool:
    """Make sure that what the backup's SECRET_KEY encrypted can be read here.

    True when the installation's own key file was replaced by the backup's. Raises BackupError when
    that key is neither here nor in the backup.
    """
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if manifest.secret_key_fingerprint in map(fingerprint, keys):
        return False
    copied = _copied_key(folder) if manifest.secrets_copied else ""
    if not copied or env.optional("SECRET_KEY"):
        raise BackupError(
            "The backup belongs to another SECRET_KEY: webhook secrets and authenticator apps in "
            "it could not be read. Set SECRET_KEY to the old installation's (or add it to "
            "SECRET_KEY_FALLBACKS); it is in its environment, its .env or its var/secret_key."
        )
    path = Path(settings.VAR_DIR) / "secret_key"
    draft = path.with_name("secret_key.restored")
    draft.touch(mode=0o600)
    draft.write_text(copied)
    draft.replace(path)
    return True


def _copied_key(folder: Path) -> str:
    lines = (folder / SECRETS_FILE).read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines)
    return pairs.get("SECRET_KEY", "")
