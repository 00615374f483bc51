"""Every setting, read from the environment (or .env) once. See .env.example for what each means."""

import sys
from pathlib import Path
from typing import Any

import django_stubs_ext

from config import env
from config.api_description import describe_api
from config.local import embedded
from config.logs import LOGGING  # noqa: F401
from config.social_login import read_social_login

BASE_DIR = Path(__file__).resolve().parent.parent
env.load_dotenv(BASE_DIR / ".env")
# Generic Django classes such as ModelAdmin[Thing] exist for mypy only; this makes them run.
django_stubs_ext.monkeypatch()

VERSION = "0.1.0"
TESTING = "pytest" in sys.modules
VAR_DIR = Path(env.optional("LATHE_VAR", str(BASE_DIR / "var"))).resolve()

# --- Safety ---------------------------------------------------------------------------------
DEBUG = env.boolean("DEBUG")
SECRET_KEY = env.optional("SECRET_KEY") or embedded.load_or_create_secret_key(VAR_DIR)
SECRET_KEY_FALLBACKS = env.comma_separated("SECRET_KEY_FALLBACKS")  # Former keys: only to read.
PUBLIC_URL = env.optional("PUBLIC_URL", "http://localhost:8000").rstrip("/")
ALLOWED_HOSTS = env.comma_separated("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")  # Whose X-Forwarded-For is believed
CSRF_TRUSTED_ORIGINS = env.comma_separated("CSRF_TRUSTED_ORIGINS", PUBLIC_URL)
IS_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 3600 if IS_HTTPS else 0)
SECURE_SSL_REDIRECT = env.boolean("SSL_REDIRECT", False)
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # Probes speak HTTP.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
BODY_SECONDS = env.integer("BODY_SECONDS", 30)  # A body may stall so long: see web.guard.limits
SLOW_BODIES_PER_ADDRESS = env.integer("SLOW_BODIES_PER_ADDRESS", 64)
REQUESTS_PER_ADDRESS = env.integer("REQUESTS_PER_ADDRESS", 1000)  # At once
MAX_REQUESTS = env.integer("MAX_REQUESTS", 8000)  # At once, live streams included
STREAMS_PER_PERSON = env.integer("STREAMS_PER_PERSON", 32)  # Live streams, at once
SOCIAL_LOGIN = read_social_login()
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        # uPlot and basecoat place elements with style attributes; scripts stay strictly ours.
        "style-src": ["'self'", "'unsafe-inline'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'", *SOCIAL_LOGIN.origins],
        "base-uri": ["'self'"],
        "object-src": ["'none'"],
    }
}

# --- Applications ---------------------------------------------------------------------------
INSTALLED_APPS = [
    # Its pages are loaded where URLs are (config.urls): workers need none of them.
    "django.contrib.admin.apps.SimpleAdminConfig",
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
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    *SOCIAL_LOGIN.apps,
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
    "assistants",
    "config.backup",
    "config.observability",
]
MIDDLEWARE = [
    "web.streams.detached.DetachStreamsMiddleware",  # First: it takes over what all others made.
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "web.browser.middleware.CompressionMiddleware",
    "csp.middleware.CSPMiddleware",
    "web.middleware.RequestIdMiddleware",
    "web.language.middleware.RequestLanguageMiddleware",
    "web.telemetry.requests.RequestMetricsMiddleware",
    "web.validation.middleware.AddressMiddleware",
    "web.middleware.PrivatePagesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "web.validation.middleware.FormMiddleware",
    "web.browser.page_memo.PageMemoMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "web.language.middleware.UserLanguageMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "web.idempotency.middleware.IdempotencyMiddleware",
    "web.browser.middleware.PageAnswerMiddleware",
    "web.middleware.UserErrorMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
OUR_TAGS = [
    f"web.templatetags.{name}"
    for name in ("ui", "times", "actions", "icons", "parts", "form_tokens", "language")
]
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
            "builtins": ["django.templatetags.i18n", *OUR_TAGS],
        },
    }
]

# --- Data -----------------------------------------------------------------------------------
_embedded_urls = None if env.optional("DATABASE_URL") else embedded.running_urls(VAR_DIR)
DATABASE_URL = env.optional("DATABASE_URL") or (
    _embedded_urls.database_url if _embedded_urls else ""
)
REDIS_URL = env.optional("REDIS_URL") or (_embedded_urls.redis_url if _embedded_urls else "")
DATABASES: dict[str, dict[str, Any]] = (
    {"default": env.parse_database_url(DATABASE_URL)}
    if DATABASE_URL
    # Commands that need no database still start without one.
    else {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "lathe"}}
)
DATABASES["default"] |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
# Connections that requests share (config.asgi sets it); 0: one for each thread.
if DB_POOL_SIZE := env.integer("DB_POOL_SIZE", 0):
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = env.pool_options(DB_POOL_SIZE)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {"BACKEND": "config.redis_cache.SharedRedisCache", "LOCATION": REDIS_URL}
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
        for name in ("basecoat-css", "tus-js-client", "uplot")
        if (folder := _node_modules / name / "dist").is_dir()
    ),
]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "web.browser.static_bundle.BundleFinder",
]
WHITENOISE_USE_FINDERS = TESTING or DEBUG
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # Larger uploads go to disk, never into memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = 7 * 1024 * 1024  # 5 MB in base64; the guard lets in less.
MAX_UPLOAD_BYTES = env.integer("MAX_UPLOAD_BYTES", 2 * 1024**3)

# --- Policy: what strangers may do here -----------------------------------------------------
# Safe where money is collected; open where a few people share a machine.
STRIPE_SECRET_KEY = env.optional("STRIPE_SECRET_KEY")
EMAIL_BACKEND = env.optional("EMAIL_BACKEND", "django.core.mail.backends.filebased.EmailBackend")
EMAIL_FILE_PATH = VAR_DIR / "mail"  # Where the file backend writes; other backends ignore it.
CAN_SEND_EMAIL = not EMAIL_BACKEND.endswith(("console.EmailBackend", "filebased.EmailBackend"))
# Whether people confirm their address before they may sign in or join a team. Then sign-up does
# not tell, either, which addresses have an account.
_verification = env.optional("EMAIL_VERIFICATION")  # Its former name: mandatory or optional.
REQUIRE_VERIFIED_EMAIL = env.boolean(
    "REQUIRE_VERIFIED_EMAIL",
    _verification == "mandatory"
    or (not _verification and (bool(STRIPE_SECRET_KEY) or CAN_SEND_EMAIL)),
)
# How many teams one person may own; 0: any number.
MAX_OWNED_TEAMS = env.integer("MAX_OWNED_TEAMS", 3 if STRIPE_SECRET_KEY else 0)

DEFAULT_CAP_MICRO = env.integer("DEFAULT_CAP_MICRO", 25_000_000)  # micro-USD a month, new teams
# What a team without a card may set as its cap at most; 0: anything, and no cap at all.
MAX_CAP_WITHOUT_CARD_MICRO = env.integer(
    "MAX_CAP_WITHOUT_CARD_MICRO", DEFAULT_CAP_MICRO if STRIPE_SECRET_KEY else 0
)
# Once for each person, to try the product with; without a card, credit alone where Stripe collects.
FREE_CREDIT_MICRO = env.integer("FREE_CREDIT_MICRO", 5_000_000 if STRIPE_SECRET_KEY else 0)
# An hour, of each team (teams: each person, sign-ups: each address); 0: any number.
RATE_LIMITS = {
    action: env.integer(f"RATE_LIMIT_{action.upper()}", usual)
    for action, usual in {
        "uploads": 1000,
        "launches": 500,
        "analyses": 500,
        "exports": 100,
        "webhook_tests": 60,
        "invitations": 60,
        "tokens": 60,
        "teams": 20,
        "signups": 60,
    }.items()
}

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
        "accounts.sign_in.password_hashing.BoundedArgon2PasswordHasher",
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
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if REQUIRE_VERIFIED_EMAIL else "optional"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = ACCOUNT_LOGIN_BY_CODE_ENABLED = REQUIRE_VERIFIED_EMAIL
ACCOUNT_RATE_LIMITS = {"signup": f"{RATE_LIMITS['signups']}/h/ip"} if RATE_LIMITS["signups"] else {}
ACCOUNT_SIGNUP_FORM_CLASS = "accounts.forms.people.SignupExtras"
ACCOUNT_ADAPTER = "accounts.allauth_adapter.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "accounts.allauth_adapter.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS = SOCIAL_LOGIN.providers
SOCIALACCOUNT_QUERY_EMAIL = True
ACCOUNT_FORMS = {  # "set_password" is SetPasswordForm.
    name: f"accounts.forms.entrance.{name.title().replace('_', '')}Form"
    for name in ("login", "signup", "change_password", "set_password", "reset_password_from_key")
}
ACCOUNT_LOGOUT_ON_GET = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Lathe"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_HTTPS  # Browsers allow it on localhost alone.
ACCOUNT_SESSION_REMEMBER = True
LOGIN_REDIRECT_URL = "projects:home"
ACCOUNT_LOGOUT_REDIRECT_URL = "landing"
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
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttling.ApiTokenThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "web.validation.parsers.JSONParser",
        "web.validation.parsers.MultiPartParser",
        "web.validation.parsers.FormParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "web.api.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
METRICS_TOKEN = env.optional("METRICS_TOKEN")  # What Prometheus sends to /metrics; empty: nobody.
# Where workers, trainers and beat answer /healthz, /readyz and /metrics; 0: nowhere.
METRICS_HOST = env.optional("METRICS_HOST", "127.0.0.1")
METRICS_PORT = env.integer("METRICS_PORT", 0)
SENTRY_DSN = env.optional("SENTRY_DSN")
SENTRY_ENVIRONMENT = env.optional("SENTRY_ENVIRONMENT", "production")
OTEL_EXPORTER_OTLP_ENDPOINT = env.optional("OTEL_EXPORTER_OTLP_ENDPOINT")
API_REQUESTS_PER_MINUTE = env.integer("API_REQUESTS_PER_MINUTE", 6000)  # per API token; 0: any
SPECTACULAR_SETTINGS = describe_api(BASE_DIR, VERSION)

# --- Work -----------------------------------------------------------------------------------
CELERY_BROKER_URL = env.optional("BROKER_URL") or REDIS_URL or "memory://"
DEMO = env.boolean("LATHE_DEMO", True)  # Whether `make up` seeds a demo team.
MODELS_URL = env.optional("MODELS_URL", "http://127.0.0.1:8001")  # Several: with commas
LEASE_SECONDS = env.integer("LEASE_SECONDS", 60)
HEARTBEAT_SECONDS = env.integer("HEARTBEAT_SECONDS", 5)
# An idle trainer keeps an engine that has loaded torch: jobs start seconds sooner.
KEEP_ENGINE_READY = env.boolean("KEEP_ENGINE_READY", True)
TRAININGS_YIELD = env.boolean("TRAININGS_YIELD", True)  # The processor, to other programs
CHECKPOINT_RETENTION_DAYS = env.integer("CHECKPOINT_RETENTION_DAYS", 7)
VLLM_URLS = env.comma_separated("VLLM_URL")  # Servers of large language models
VLLM_API_KEY = env.optional("VLLM_API_KEY")
VLLM_ADAPTERS_DIR = env.optional("VLLM_ADAPTERS_DIR", str(VAR_DIR / "adapters"))
VLLM_MAX_ADAPTERS = env.integer("VLLM_MAX_ADAPTERS", 32)  # Loaded at each server
MODELS_MEMORY_BYTES = env.integer("MODELS_MEMORY_BYTES", 2 * 1024**3)
ANSWER_CACHE_ENTRIES = env.integer("ANSWER_CACHE_ENTRIES", 20_000)  # Texts; 0: none is kept
MODELS_LANES = env.integer("MODELS_LANES", 2)  # Batches at once, one thread each
MODELS_MAX_BODY_BYTES = env.integer("MODELS_MAX_BODY_BYTES", 4 * 1024**2)
INFERENCE_REQUESTS_PER_SECOND = env.integer("INFERENCE_REQUESTS_PER_SECOND", 2000)  # per API token

# --- Assistants -----------------------------------------------------------------------------
VOICE_PYTHON = env.optional("VOICE_PYTHON", sys.executable)  # Has requirements-voice.txt.
WECHAT_API_BASE = env.optional("WECHAT_API_BASE", "https://api.weixin.qq.com").rstrip("/")

# --- Billing --------------------------------------------------------------------------------
STRIPE_WEBHOOK_SECRETS = env.comma_separated("STRIPE_WEBHOOK_SECRETS")
STRIPE_THIN_WEBHOOK_SECRETS = env.comma_separated("STRIPE_THIN_WEBHOOK_SECRETS")
STRIPE_API_BASE = env.optional("STRIPE_API_BASE")
STRIPE_ENVIRONMENT = env.optional("STRIPE_ENVIRONMENT", "prod")  # Begins every identifier.
STRIPE_METER_EVENTS_BASE = env.optional("STRIPE_METER_EVENTS_BASE")
STRIPE_FILES_BASE = env.optional("STRIPE_FILES_BASE")
STRIPE_TIMEOUT_SECONDS = env.integer("STRIPE_TIMEOUT_SECONDS", 20)
STRIPE_AUTOMATIC_TAX = env.boolean("STRIPE_AUTOMATIC_TAX")
# Where Stripe's own pages are: the browser may be sent there after a form of ours.
STRIPE_HOSTED_ORIGINS = env.comma_separated(
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

# --- Language, time, logs -------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["config.formats"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
