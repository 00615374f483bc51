"""Every setting, read from the environment (or .env) once. See .env.example for what each means."""

import sys
from pathlib import Path
from typing import Any

import django_stubs_ext

from config import embedded, env

BASE_DIR = Path(__file__).resolve().parent.parent
env.load_dotenv(BASE_DIR / ".env")
# Generic Django classes such as ModelAdmin[Thing] exist for mypy only; this makes them run.
django_stubs_ext.monkeypatch()

VERSION = "0.1.0"
TESTING = "pytest" in sys.modules
VAR_DIR = Path(env.optional("LATHE_VAR", str(BASE_DIR / "var"))).resolve()

# --- Safety ---------------------------------------------------------------------------------
DEBUG = env.boolean("DEBUG")
SECRET_KEY = env.optional("SECRET_KEY") or embedded.secret_key(VAR_DIR)
# Keys of the past: what they signed or sealed is still read, nothing new is.
SECRET_KEY_FALLBACKS = env.listed("SECRET_KEY_FALLBACKS")
PUBLIC_URL = env.optional("PUBLIC_URL", "http://localhost:8000").rstrip("/")
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1],testserver")
CSRF_TRUSTED_ORIGINS = env.listed("CSRF_TRUSTED_ORIGINS", PUBLIC_URL)
IS_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 3600 if IS_HTTPS else 0)
SECURE_SSL_REDIRECT = env.boolean("SSL_REDIRECT", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        # uPlot and basecoat place elements with style attributes; scripts stay strictly ours.
        "style-src": ["'self'", "'unsafe-inline'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
        "base-uri": ["'self'"],
        "object-src": ["'none'"],
    }
}

# --- Applications ---------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",  # Its templates, beside ours: see FORM_RENDERER.
    "allauth",
    "allauth.account",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "web",
    "accounts",
    "billing",
    "projects",
    "training",
    "inference",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "web.middleware.RequestIdMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "web.middleware.UserErrorMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context.team",
            ],
            "builtins": ["web.templatetags.ui"],
        },
    }
]

# --- Data -----------------------------------------------------------------------------------
_running = None if env.optional("DATABASE_URL") else embedded.endpoints(VAR_DIR)
DATABASE_URL = env.optional("DATABASE_URL") or (_running.database_url if _running else "")
REDIS_URL = env.optional("REDIS_URL") or (_running.redis_url if _running else "")
DATABASES: dict[str, dict[str, Any]] = (
    {"default": env.database_from(DATABASE_URL)}
    if DATABASE_URL
    # Commands that need no database (makemigrations --check aside) still start without one.
    else {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "lathe"}}
)
DATABASES["default"] |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

STORAGE_URL = env.optional("STORAGE_URL", f"file://{VAR_DIR}/storage")
if STORAGE_URL.startswith("s3://"):
    _bucket, _, _prefix = STORAGE_URL.removeprefix("s3://").partition("/")
    _default_storage: dict[str, object] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": _bucket,
            "location": _prefix,
            "endpoint_url": env.optional("S3_ENDPOINT_URL") or None,
            "file_overwrite": True,
            "default_acl": None,
        },
    }
else:
    _default_storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": STORAGE_URL.removeprefix("file://"), "allow_overwrite": True},
    }
STORAGES = {
    "default": _default_storage,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or TESTING
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
_node_modules = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    *(
        (f"vendor/{name}", folder)
        for name in ("basecoat-css", "uplot")
        if (folder := _node_modules / name / "dist").is_dir()
    ),
]
WHITENOISE_USE_FINDERS = TESTING or DEBUG
# Streams to disk above this, so a large upload never sits in memory.
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
MAX_UPLOAD_BYTES = env.integer("MAX_UPLOAD_BYTES", 2 * 1024**3)

# --- Accounts -------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = (
    ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if TESTING
    else [
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ]
)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = env.optional("EMAIL_VERIFICATION", "optional")
ACCOUNT_SIGNUP_FORM_CLASS = "accounts.forms.SignupExtras"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "projects:home"
ACCOUNT_LOGOUT_REDIRECT_URL = "landing"
EMAIL_BACKEND = env.optional("EMAIL_BACKEND", "web.console_mail.EmailBackend")
EMAIL_HOST = env.optional("EMAIL_HOST", "localhost")
EMAIL_PORT = env.integer("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.optional("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.optional("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS")
EMAIL_USE_SSL = env.boolean("EMAIL_USE_SSL")
EMAIL_TIMEOUT = 20  # Seconds; a mail server that hangs must not hold up the worker.
DEFAULT_FROM_EMAIL = env.optional("DEFAULT_FROM_EMAIL", "Lathe <lathe@localhost>")

# --- Webhooks -------------------------------------------------------------------------------
WEBHOOKS_ALLOW_HTTP = env.boolean("LATHE_WEBHOOKS_ALLOW_HTTP")
WEBHOOKS_ALLOW_PRIVATE = env.boolean("LATHE_WEBHOOKS_ALLOW_PRIVATE")
NOTICE_DAYS = env.integer("NOTICE_DAYS", 90)  # How long notices and deliveries are kept

# --- Interfaces -----------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.JSONParser",
        "rest_framework.parsers.MultiPartParser",
        "rest_framework.parsers.FormParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "web.api.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Lathe API",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
}

# --- Work -----------------------------------------------------------------------------------
CELERY_BROKER_URL = env.optional("BROKER_URL") or REDIS_URL or "memory://"
DEMO = env.boolean("LATHE_DEMO", True)  # Whether `make up` seeds a demo team.
MODELS_URL = env.optional("MODELS_URL", "http://127.0.0.1:8001").rstrip("/")
LEASE_SECONDS = env.integer("LEASE_SECONDS", 60)
HEARTBEAT_SECONDS = env.integer("HEARTBEAT_SECONDS", 5)
# An idle trainer keeps an engine that has loaded torch: jobs start seconds sooner.
KEEP_ENGINE_READY = env.boolean("KEEP_ENGINE_READY", True)
CHECKPOINT_RETENTION_DAYS = env.integer("CHECKPOINT_RETENTION_DAYS", 7)
MODELS_MEMORY_BYTES = env.integer("MODELS_MEMORY_BYTES", 2 * 1024**3)
MODELS_LANES = env.integer("MODELS_LANES", 2)  # Batches at once, one thread each
MODELS_MAX_BODY_BYTES = env.integer("MODELS_MAX_BODY_BYTES", 4 * 1024**2)
INFERENCE_REQUESTS_PER_SECOND = env.integer("INFERENCE_REQUESTS_PER_SECOND", 2000)  # per API token

# --- Billing --------------------------------------------------------------------------------
STRIPE_SECRET_KEY = env.optional("STRIPE_SECRET_KEY")
STRIPE_WEBHOOK_SECRETS = env.listed("STRIPE_WEBHOOK_SECRETS")
STRIPE_THIN_WEBHOOK_SECRETS = env.listed("STRIPE_THIN_WEBHOOK_SECRETS")
STRIPE_API_BASE = env.optional("STRIPE_API_BASE")
STRIPE_ENVIRONMENT = env.optional("STRIPE_ENVIRONMENT", "prod")  # Begins every identifier.
STRIPE_METER_EVENTS_BASE = env.optional("STRIPE_METER_EVENTS_BASE")
STRIPE_FILES_BASE = env.optional("STRIPE_FILES_BASE")
STRIPE_TIMEOUT_SECONDS = env.integer("STRIPE_TIMEOUT_SECONDS", 20)
STRIPE_AUTOMATIC_TAX = env.boolean("STRIPE_AUTOMATIC_TAX")
# Where Stripe's own pages are: the browser may be sent there after a form of ours.
STRIPE_HOSTED_ORIGINS = env.listed(
    "STRIPE_HOSTED_ORIGINS", "https://checkout.stripe.com,https://billing.stripe.com"
)
if STRIPE_SECRET_KEY:
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"] += STRIPE_HOSTED_ORIGINS
TOP_UP_MIN_CENTS = env.integer("TOP_UP_MIN_CENTS", 500)
TOP_UP_MAX_CENTS = env.integer("TOP_UP_MAX_CENTS", 500_000)
ANOMALY_FACTOR = env.integer("ANOMALY_FACTOR", 10)  # A day of so many usual ones: hold; 0: never
ANOMALY_FLOOR_MICRO = env.integer("ANOMALY_FLOOR_MICRO", 20_000_000)  # Less a day is never unusual
SELLER_NAME = env.optional("SELLER_NAME", "Lathe")  # On invoices
SELLER_ADDRESS = env.optional("SELLER_ADDRESS")  # Lines separated by ";"
SELLER_TAX_ID = env.optional("SELLER_TAX_ID")
SELLER_EMAIL = env.optional("SELLER_EMAIL")
INVOICE_PREFIX = env.optional("INVOICE_PREFIX", "LATHE")
DEFAULT_CAP_MICRO = env.integer("DEFAULT_CAP_MICRO", 25_000_000)  # micro-USD a month, new teams

# --- Language, time, logs -------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.optional("LOG_LEVEL", "INFO")},
    # A tick every few seconds is no news; what a task does is logged by the code that does it.
    "loggers": {
        name: {"level": "WARNING"}
        for name in (
            "httpx",
            "stripe",
            "csp",
            "kombu",
            "celery.beat",
            "celery.app.trace",
            "celery.worker.strategy",
        )
    },
}
