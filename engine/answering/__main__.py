"""`python -m engine.answering measure FOLDER` reads order.json there and writes result.json."""

import argparse
import os
import sys
from pathlib import Path

from engine.answering.measuring import measure
from engine.answering.order import MeasuringOrder
from engine.answering.sentence_encoder import SentenceEncoder
from engine.errors import EngineError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.answering")
    commands = parser.add_subparsers(required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        order = MeasuringOrder.model_validate_json((folder / "order.json").read_text())
        encoder = SentenceEncoder(order.encoder, os.cpu_count() or 1, order.precision)
        result = measure(order, encoder, folder)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    (folder / "result.json").write_text(result.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
