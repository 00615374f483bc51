"""Exports a base model that nobody tuned as an encoder. Loads torch."""

from importlib.metadata import version

from engine.catalog import get_base_model
from engine.export.onnx import TEXT_INPUTS
from engine.export_packages import EXPORT_PACKAGES
from engine.serving.base_encoders import ExportedEncoder
from engine.tasks.text import base_models
from engine.tasks.text.frozen_encoder import EMBEDDING_OUTPUT, FLOAT_FILE, load_or_export
from engine.tasks.text.network import TextNetwork


def export_base_encoder(model_id: str) -> ExportedEncoder:
    """Its float32 file, exported unless this machine has it.

    Raises BaseModelUnavailable when the model's files cannot be had, or UnknownBaseModel.
    """
    folder = base_models.locate_base_model(get_base_model(model_id))
    network = TextNetwork(base_models.load_encoder(folder), outputs=1).eval()
    return ExportedEncoder(
        model=load_or_export(network, folder).folder / FLOAT_FILE,
        tokenizer=folder / "tokenizer.json",
        inputs=list(TEXT_INPUTS),
        output=EMBEDDING_OUTPUT,
        max_length=base_models.max_input_tokens(folder),
        versions=[version(name) for name in EXPORT_PACKAGES],
    )
