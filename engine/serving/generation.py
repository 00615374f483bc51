"""Answers with an exported language model. Loads torch."""

from pathlib import Path

import torch

from engine.artifact import Manifest, read_manifest
from engine.errors import BaseModelUnavailable, BrokenArtifact
from engine.generation import loading
from engine.generation.answering import Answerer


class GenerationModel(Answerer):
    """One artifact in memory. Methods may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, manifest: Manifest | None = None) -> None:
        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels  # None: it writes.
        torch.set_num_threads(threads)
        try:
            network = loading.load_network(Path(folder), "sdpa")
            tokenizer = loading.load_tokenizer(Path(folder))
        except BaseModelUnavailable as error:
            raise BrokenArtifact(
                "The artifact holds no language model that can be read."
            ) from error
        if torch.cuda.is_available():
            network.to("cuda")
        context = self.manifest.inputs.max_length or loading.longest_context(network.config)
        super().__init__(network, tokenizer, context)
