"""Say in plain sentences whether this installation and its Stripe account fit together."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.checking import findings


class Command(BaseCommand):
    help = "Looks at key, API version, catalog, webhook endpoints and messages. Changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        problems = 0
        for finding in findings():
            self.stdout.write(f"{'ok ' if finding.is_good else 'FIX'}  {finding.sentence}")
            problems += not finding.is_good
        if problems:
            raise CommandError(f"{problems} things to repair.")
