"""`manage.py seed_demo_assistant`: the demo team's assistant, made once."""

from typing import Any

from django.core.management.base import BaseCommand

from assistants import demo


class Command(BaseCommand):
    help = "Gives the demo team an assistant, a widget and a waiting conversation, if absent."

    def handle(self, *args: Any, **options: Any) -> None:
        demo.seed()
