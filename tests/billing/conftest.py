"""A Stripe account behind a real socket for the tests that ask for one."""

from collections.abc import Iterator

import pytest

from tests.billing.stripe.fake.metering import Metered
from tests.billing.stripe.fake.server import KEY, StripeServer
from tests.billing.stripe.fake.story import SECRET, THIN_SECRET, Story
from tests.billing.stripe.fake.tale import Tale


@pytest.fixture
def stripe_server(settings) -> Iterator[StripeServer]:
    """A fake Stripe that the settings point to."""
    with StripeServer().running() as server:
        settings.STRIPE_SECRET_KEY = KEY
        settings.STRIPE_API_BASE = server.url
        settings.STRIPE_METER_EVENTS_BASE = settings.STRIPE_FILES_BASE = server.url
        settings.STRIPE_TIMEOUT_SECONDS = 2
        settings.STRIPE_WEBHOOK_SECRETS = ["whsec_old", SECRET]
        settings.STRIPE_THIN_WEBHOOK_SECRETS = [THIN_SECRET]
        yield server


@pytest.fixture
def metered(db, stripe_server, monkeypatch, settings) -> Metered:
    """Teams that are metered there; the library's own repeats do not wait."""
    settings.STRIPE_TIMEOUT_SECONDS = 60  # A busy machine is not a fault.
    monkeypatch.setattr("stripe._http_client.HTTPClient._sleep_time_seconds", lambda *_, **__: 0)
    return Metered(stripe_server, monkeypatch)


@pytest.fixture
def story(stripe_server, team, alice) -> Story:
    """The team, its owner and its account at Stripe, with the catalog in place."""
    return Story(stripe_server, team, alice)


@pytest.fixture
def tale(stripe_server, team, alice, monkeypatch) -> Tale:
    """Likewise, on a clock that a test moves, told from both sides."""
    return Tale(stripe_server, team, alice).begin(monkeypatch)
