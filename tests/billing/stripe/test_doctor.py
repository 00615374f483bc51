"""The command that says whether Stripe is set up."""

import pytest
from django.core.management import CommandError, call_command

from billing.stripe.catalog import sync_catalog
from billing.stripe.webhooks.handlers import SNAPSHOT_HANDLERS
from tests.billing.stripe.fake.server import LIVE_KEY
from tests.billing.stripe.fake.world import VERSION

pytestmark = pytest.mark.django_db


def test_local_mode_is_fine(capsys):
    call_command("check_stripe")
    assert "local mode" in capsys.readouterr().out


def test_it_names_everything_that_is_missing(stripe_server, settings, capsys):
    settings.STRIPE_THIN_WEBHOOK_SECRETS = []
    with pytest.raises(CommandError):
        call_command("check_stripe")
    said = capsys.readouterr().out
    for part in ["Team, Scale", "sync_stripe_catalog", "No webhook endpoint", "THIN_WEBHOOK"]:
        assert part in said


@pytest.mark.parametrize(
    ("version", "heard", "part"),
    [
        ("2024-06-20", ["*"], "will be refused"),
        (None, ["*"], "default version"),
        (VERSION, ["invoice.paid"], "does not send"),
    ],
)
def test_it_sees_an_endpoint_that_does_not_fit(
    stripe_server, settings, capsys, version, heard, part
):
    _endpoint(stripe_server, settings, version, heard)
    with pytest.raises(CommandError):
        call_command("check_stripe")
    assert part in capsys.readouterr().out


def test_all_is_well(stripe_server, settings, capsys):
    sync_catalog()
    _endpoint(stripe_server, settings, VERSION, sorted(SNAPSHOT_HANDLERS))
    call_command("check_stripe")
    assert "FIX" not in capsys.readouterr().out


def test_ids_of_another_account_are_named(stripe_server, settings, capsys):
    sync_catalog()
    settings.STRIPE_SECRET_KEY = LIVE_KEY
    with pytest.raises(CommandError):
        call_command("check_stripe")
    assert "belong to another account or mode" in capsys.readouterr().out


def test_a_wrong_key_is_a_sentence(stripe_server, settings, capsys):
    settings.STRIPE_SECRET_KEY = "sk_test_wrong"
    with pytest.raises(CommandError):
        call_command("check_stripe")
    assert "did not accept this installation's key" in capsys.readouterr().out


def _endpoint(server, settings, version, heard):
    server.world.new(
        "webhook_endpoint",
        "we",
        url=f"{settings.PUBLIC_URL}/stripe/webhook/",
        api_version=version,
        enabled_events=heard,
    )
