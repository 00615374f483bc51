"""`manage.py fill_demo`: gives the demo team a model of each task, and traffic."""

from typing import Any

from django.core.management.base import BaseCommand

from inference.demo_filling.filling import fill


class Command(BaseCommand):
    help = "Fills the demo team while the product runs; ends by itself. Twice changes nothing."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        fill()
