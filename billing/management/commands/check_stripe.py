"""Say in plain sentences whether this installation and its Stripe account fit together."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.stripe.doctor import run_checks


class Command(BaseCommand):
    help = "Looks at key, API version, catalog, webhook endpoints and messages. Changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        problems = 0
        for finding in run_checks():
            self.stdout.write(f"{'ok ' if finding.is_ok else 'FIX'}  {finding.sentence}")
            problems += not finding.is_ok
        if problems:
            raise CommandError(f"{problems} things to repair.")
