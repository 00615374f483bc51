"""Sign-in through Google, GitHub or any OpenID Connect provider, each when its client id is set."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from config import env

PROVIDERS = "allauth.socialaccount.providers"


@dataclass
class SocialLogin:
    """What the settings take over; empty where no provider is configured."""

    apps: list[str] = field(default_factory=list)
    providers: dict[str, dict[str, object]] = field(default_factory=dict)
    origins: list[str] = field(default_factory=list)  # Where the forms that begin a sign-in lead.


def read_social_login() -> SocialLogin:
    """From GOOGLE_*, GITHUB_* and OIDC_* in the environment."""
    login = SocialLogin()
    for name, origin, scope in (
        ("google", "https://accounts.google.com", ["email", "profile"]),
        ("github", "https://github.com", ["user:email"]),
    ):
        if client_id := env.optional(f"{name.upper()}_CLIENT_ID"):
            app = {"client_id": client_id, "secret": env.required(f"{name.upper()}_CLIENT_SECRET")}
            login.apps.append(f"{PROVIDERS}.{name}")
            login.providers[name] = {"APPS": [app], "SCOPE": scope}
            login.origins.append(origin)
    if client_id := env.optional("OIDC_CLIENT_ID"):
        server = env.required("OIDC_SERVER_URL")
        login.apps.append(f"{PROVIDERS}.openid_connect")
        login.providers["openid_connect"] = {
            "APPS": [
                {
                    "provider_id": "oidc",
                    "name": env.optional("OIDC_NAME", "Single sign-on"),
                    "client_id": client_id,
                    "secret": env.required("OIDC_CLIENT_SECRET"),
                    "settings": {"server_url": server},
                }
            ],
            "OAUTH_PKCE_ENABLED": True,
        }
        login.origins.append("{0.scheme}://{0.netloc}".format(urlsplit(server)))
    return login
