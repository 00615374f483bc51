"""ONNX files of networks that read one tensor: tables and pictures."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

OPSET = 17


def write_onnx(
    network: nn.Module,
    shape: tuple[int, ...],
    path: Path,
    *,
    input_name: str,
    output_name: str = "logits",
) -> None:
    """Trace a network on two rows of this shape; any number of rows can be asked afterwards."""
    # This exporter restores the training flag it finds: eval() must be set on the outermost module.
    with silenced():
        torch.onnx.export(
            network.eval(),
            (torch.zeros(2, *shape),),
            str(path),
            input_names=[input_name],
            output_names=[output_name],
            dynamic_axes={input_name: {0: "rows"}, output_name: {0: "rows"}},
            opset_version=OPSET,
            dynamo=False,
        )


@contextmanager
def silenced() -> Iterator[None]:
    """Exporters chatter about deprecations that our parity checks make irrelevant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
