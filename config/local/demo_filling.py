"""`python -m config.local.demo_filling`: the rest of the demo, once its first model answers.

The assistant first, whose version a worker measures meanwhile; then a model of each other task.
"""

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    call_command("seed_demo_assistant")
    call_command("fill_demo")
