#!/usr/bin/env python
"""Django's command line for Lathe."""

import gc
import os
import sys


def main() -> None:
    """Run a management command against config.settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    if sys.argv[1:2] == ["migrate"]:  # It makes twenty thousand classes, a few of which stay.
        gc.set_threshold(200_000, 5, 10)  # A fifth of the time, for 70 MB.
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
