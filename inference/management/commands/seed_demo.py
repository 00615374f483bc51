"""`manage.py seed_demo`: the demo team, made once; its credentials as JSON on the last line."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from inference import demo


class Command(BaseCommand):
    help = "Makes the demo team if absent and prints its credentials as JSON on the last line."

    def handle(self, *args: Any, **options: Any) -> None:
        credentials = demo.seed()
        self.stdout.write(f"Demo login: {credentials.email}, password {credentials.password}")
        self.stdout.write(f"Demo API token: {credentials.token}")
        self.stdout.write(json.dumps(asdict(credentials)))
