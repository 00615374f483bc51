"""Carries out steps of tests.journeys.states in one process, for to start Django takes seconds.

Each line of the input is a JSON list, a function's name and its arguments; each line of the output
is what the function returned, in JSON.
"""

import json
import sys

import django

if __name__ == "__main__":
    django.setup()
    from tests.journeys import states

    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(states, name)(*arguments)), flush=True)
