"""Compare the daily sums with the ledger now, and add up anew what differs if told to."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing import day_checking


class Command(BaseCommand):
    help = "Says which team's days differ from the ledger. Changes nothing without --rebuild."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rebuild", metavar="REASON", help="add up anew; the reason is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        found = day_checking.check()
        for one in found:
            self.stdout.write(one.sentence)
        if found and not options["rebuild"]:
            raise CommandError(f"{len(found)} differences. Run again with --rebuild REASON.")
        for team in {one.team for one in found}:
            rebuilt = day_checking.rebuild(team, options["rebuild"], by=None)
            self.stdout.write(f"{team}: {len(rebuilt)} differences are gone.")
        if not found:
            self.stdout.write("Every day's sums equal the ledger.")
