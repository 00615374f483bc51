"""Make Stripe's products, prices and meters say what our plans and rates say."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.stripe.catalog import sync_catalog
from billing.stripe.errors import StripeFailure


class Command(BaseCommand):
    help = "Creates what is missing or changed in Stripe's catalog. Run it as often as you like."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = sync_catalog()
        except StripeFailure as failure:
            raise CommandError(failure.sentence) from failure
        for sentence in made:
            self.stdout.write(sentence)
        if not made:
            self.stdout.write("Stripe's catalog is as it should be.")
