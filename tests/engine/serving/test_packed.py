"""The packed encoder: what it computes, for whom, and that a text's answer is its own alone."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import BertConfig, BertModel

from engine.artifact import Serving
from engine.errors import BrokenArtifact
from engine.serving.packed import encoder as packed_encoder
from engine.serving.packed import library
from engine.serving.packed.encoder import PackedEncoder, open_packed_encoder, pack_network
from engine.serving.packed.weights import PackedWeights, quantise, read_config
from engine.tasks.text.network import TextNetwork, save_network

WORDS, POSITIONS, OUTPUTS = 300, 128, 5
needs_kernel = pytest.mark.skipif(
    library.load_kernel() is None, reason="no AVX2 or no C compiler here"
)


def make_network(*, heads=2, hidden=64, inner=192, normalise=False, **config):
    torch.manual_seed(3)
    about = BertConfig(
        vocab_size=WORDS,
        hidden_size=hidden,
        num_hidden_layers=3,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=POSITIONS,
        attn_implementation="eager",
        **config,
    )
    network = TextNetwork(BertModel(about), OUTPUTS, normalise=normalise).eval()
    with torch.no_grad():  # As trained ones have: norms and biases that do something.
        for name, values in network.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                values.add_(torch.randn_like(values) * 0.2)
    return network


@pytest.fixture
def saved(tmp_path):
    def save(**changes):
        network = make_network(**changes)
        save_network(network, tmp_path)
        return network, tmp_path

    return save


def make_rows(count, *, longest=POSITIONS, seed=0):
    rng = random.Random(seed)
    lengths = (min(longest, 1 + int(rng.expovariate(1 / 20))) for _ in range(count))
    return [[rng.randrange(WORDS) for _ in range(length)] for length in lengths]


def compute_by_torch(network, row):
    with torch.inference_mode():
        ids = torch.tensor([row])
        mean = TextNetwork.embed(network, ids, torch.ones_like(ids))[0]
        return mean.numpy(), network.head(mean).numpy()


@needs_kernel
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"heads": 1},
        {"hidden": 128, "heads": 4, "inner": 256},
        {"normalise": True},
        {"layer_norm_eps": 1e-5},
    ],
)
def test_it_computes_what_torch_computes_but_for_eight_bits(saved, shape):
    network, folder = saved(**shape)
    encoder = pack_network(folder)
    rows = [*make_rows(40), [7], list(range(POSITIONS))]
    means, outputs = encoder.means(rows), encoder.outputs(rows)
    for row, mean, output in zip(rows, means, outputs, strict=True):
        exact_mean, exact_output = compute_by_torch(network, row)
        one, other = torch.from_numpy(mean), torch.from_numpy(exact_mean)
        assert functional.cosine_similarity(one, other, dim=0) > 0.998
        assert np.abs(output - exact_output).max() < 0.05 * max(1, np.abs(exact_output).max())


@needs_kernel
@pytest.mark.parametrize("changed", ["position", "neighbour token", "last bias"])
def test_every_part_of_the_network_counts(saved, changed):
    """A kernel that left something out would still be near to torch on average."""
    network, folder = saved()
    row = make_rows(1, seed=5)[0] + [4, 5, 6]
    before = pack_network(folder).outputs([row])
    if changed == "neighbour token":
        row = [*row[:-1], 9]
    else:
        with torch.no_grad():
            embeddings, last = network.encoder.embeddings, network.encoder.encoder.layer[-1]
            changing = (
                embeddings.position_embeddings.weight
                if changed == "position"
                else last.output.dense.bias
            )
            changing.add_(torch.randn_like(changing))
        save_network(network, folder)
    after = pack_network(folder).outputs([row])
    exact = compute_by_torch(network, row)[1]
    assert np.abs(after - before).max() > 1e-2
    assert np.abs(after[0] - exact).max() < 0.05 * max(1, np.abs(exact).max())


@needs_kernel
def test_500_texts_have_the_same_bits_alone_in_any_company_and_under_load(saved):
    encoder = pack_network(saved()[1])
    rows = make_rows(500)
    alone = np.concatenate([encoder.outputs([row]) for row in rows])
    order = list(range(500))
    for size in (2, 3, 8, 33, 500):
        random.Random(size).shuffle(order)
        for start in range(0, 500, size):
            batch = order[start : start + size]
            together = encoder.outputs([rows[number] for number in batch])
            assert np.array_equal(together, alone[batch])
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(lambda first: encoder.outputs(rows[first::20]), range(20)))
    for first, part in enumerate(parts):
        assert np.array_equal(part, alone[first::20])


@needs_kernel
def test_a_row_without_tokens_has_the_mean_zero(saved):
    network, folder = saved()
    encoder = pack_network(folder)
    assert np.array_equal(encoder.means([[], [3, 4]])[0], np.zeros(64))
    assert np.allclose(encoder.outputs([[]])[0], network.head.bias.detach().numpy())
    assert encoder.outputs([]).shape == (0, OUTPUTS)


@needs_kernel
@pytest.mark.parametrize("row", [[WORDS], [-1], [1] * (POSITIONS + 1)])
def test_tokens_and_places_that_the_network_lacks_are_refused(saved, row):
    encoder = pack_network(saved()[1])
    with pytest.raises(BrokenArtifact, match="does not know"):
        encoder.outputs([[1, 2], row])


@pytest.mark.parametrize(
    "shape",
    [
        {"hidden_act": "relu"},
        {"hidden": 96, "heads": 3},
        {"inner": 200},
        {"heads": 8},
        {"is_decoder": True},
    ],
)
def test_networks_that_it_does_not_compute_are_left_to_onnx(saved, shape):
    assert pack_network(saved(**shape)[1]) is None


def test_pruned_heads_other_models_and_damaged_configs_are_left_to_onnx(saved):
    _, folder = saved()
    assert read_config(folder) is not None
    config = json.loads((folder / "config.json").read_text())
    for text in (
        json.dumps(config | {"heads": [2, 1, 2]}),
        json.dumps(config | {"encoder": config["encoder"] | {"model_type": "roberta"}}),
        json.dumps({"format": 1}),
        "torn",
    ):
        (folder / "config.json").write_text(text)
        assert read_config(folder) is None
    (folder / "config.json").unlink()
    assert read_config(folder) is None


@pytest.fixture
def fresh_kernel(tmp_path, monkeypatch):
    """Looks for the kernel anew, in an empty cache."""
    monkeypatch.setenv("LATHE_CACHE_DIR", str(tmp_path / "cache"))
    library.load_kernel.cache_clear()
    yield tmp_path / "cache" / "kernels"
    library.load_kernel.cache_clear()


@pytest.mark.parametrize("lack", ["switched off", "processor", "compiler", "broken compiler"])
def test_without_it_there_is_none(lack, fresh_kernel, tmp_path, monkeypatch):
    if lack == "switched off":
        monkeypatch.setenv(library.SWITCH, "off")
    elif lack == "processor":
        monkeypatch.setattr(library, "read_processor_flags", frozenset)
    elif lack == "compiler":
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        (tmp_path / "cc").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "cc").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
    assert library.load_kernel() is None
    assert not list(fresh_kernel.glob("*"))


@needs_kernel
def test_it_is_compiled_once(saved, fresh_kernel, monkeypatch):
    encoder = pack_network(saved()[1])
    (folder,) = fresh_kernel.iterdir()
    stamp = (folder / library.LIBRARY_FILE).stat().st_mtime_ns
    library.load_kernel.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")  # What is there needs no compiler.
    again = pack_network(saved()[1])
    assert np.array_equal(again.outputs([[1, 2, 3]]), encoder.outputs([[1, 2, 3]]))
    assert (folder / library.LIBRARY_FILE).stat().st_mtime_ns == stamp


@needs_kernel
def test_images_carry_every_form_and_the_processor_chooses(fresh_kernel, monkeypatch):
    library.compile_all()
    assert len(list(fresh_kernel.iterdir())) == len(library.INSTRUCTION_SETS)
    monkeypatch.setenv("PATH", "/nowhere")
    for flags, computes in [
        (library.AVX2.processor_flags, ("bounded",)),
        (library.AVX512_VNNI.processor_flags, ("full", "bounded")),
    ]:
        monkeypatch.setattr(library, "read_processor_flags", lambda flags=flags: flags)
        library.load_kernel.cache_clear()
        assert library.load_kernel().computes == computes


@needs_kernel
def test_a_form_that_cannot_be_made_leaves_the_next_one(fresh_kernel, monkeypatch):
    """A compiler that is older than AVX-512 VNNI."""
    open_kernel = library.open_kernel

    def open_by_old_compiler(instructions):
        if instructions is library.AVX512_VNNI:
            raise OSError("cc fails: unrecognized option")
        return open_kernel(instructions)

    monkeypatch.setattr(library, "open_kernel", open_by_old_compiler)
    monkeypatch.setattr(
        library, "read_processor_flags", lambda: library.AVX512_VNNI.processor_flags
    )
    assert library.load_kernel().computes == ("bounded",)


@needs_kernel
def test_a_model_is_opened_only_where_the_kernel_computes_what_it_computed_before(saved):
    _, folder = saved()
    expected = pack_network(folder, "bounded").check_outputs()
    serving = Serving(file="x", engine="packed", weight_steps="bounded", check=expected)
    assert open_packed_encoder(folder, serving).weight_steps == "bounded"
    assert open_packed_encoder(folder, serving.model_copy(update={"engine": "onnxruntime"})) is None
    for other in ([one + 0.1 for one in expected], expected[:-1], []):
        changed = serving.model_copy(update={"check": other})
        assert open_packed_encoder(folder, changed) is None


@needs_kernel
def test_finer_weights_than_the_kernel_computes_exactly_are_left_to_onnx(saved, monkeypatch):
    """A model that was tested on a processor with AVX-512, opened on one without."""
    _, folder = saved()
    kernel = replace(library.load_kernel(), computes=("bounded",))
    monkeypatch.setattr(packed_encoder, "load_kernel", lambda: kernel)
    expected = pack_network(folder).check_outputs()
    manifest_of_before = Serving.model_validate(
        {"file": "x", "engine": "packed", "check": expected}
    )
    assert manifest_of_before.weight_steps == "full"
    assert open_packed_encoder(folder, manifest_of_before) is None


@pytest.mark.parametrize("outliers", [0, 3])
def test_bounded_weights_cannot_make_a_sum_of_four_products_too_large(outliers):
    rng = np.random.default_rng(outliers)
    weights = rng.standard_normal((128, 192)).astype(np.float32)
    weights[:, :16] = [[1.0], [-1.0]] * 64  # All as large as the largest, all of one sign.
    weights[5] = 0
    weights[rng.integers(128, size=outliers), rng.integers(192, size=outliers)] = 40
    steps, scales = quantise(weights, "bounded")
    assert np.abs(steps.T * scales[:, None] - weights).max() <= scales.max() * 0.5001
    lanes = steps.astype(np.int64).reshape(24, 2, 2, 2, 128)
    positive, negative = np.maximum(lanes, 0), np.minimum(lanes, 0)
    assert 255 * positive.sum(axis=(1, 3)).max() <= 32767
    assert 255 * negative.sum(axis=(1, 3)).min() >= -32768
    full, _ = quantise(weights, "full")
    assert np.abs(full).max(axis=0).tolist() == [127] * 5 + [0] + [127] * 122


@needs_kernel
def test_sums_of_16_bits_do_not_saturate_where_bounds_are_kept(saved):
    """Weights of one sign make them as large as they can be; "full" ones make them too large."""
    network, folder = saved()
    with torch.no_grad():
        for layer in network.encoder.encoder.layer:
            for linear in (layer.attention.self.value, layer.intermediate.dense):
                linear.weight.copy_(linear.weight.abs().clamp(min=0.02))
    save_network(network, folder)
    rows = make_rows(20)
    exact = np.stack([compute_by_torch(network, row)[0] for row in rows])
    kernel = library.open_kernel(library.AVX2)

    def likeness(weight_steps):
        weights = PackedWeights(folder, read_config(folder), weight_steps, kernel.columns_at_once)
        means = torch.from_numpy(PackedEncoder(kernel, weights).means(rows))
        return functional.cosine_similarity(means, torch.from_numpy(exact)).min()

    assert likeness("bounded") > 0.995
    assert likeness("full") < 0.95


@needs_kernel
def test_all_forms_that_run_here_compute_the_same_bits(saved):
    _, folder = saved(hidden=128, heads=4, inner=256)
    flags = library.read_processor_flags()
    able = [one for one in library.INSTRUCTION_SETS if one.processor_flags <= flags]
    rows = [[], *make_rows(60)]
    answers = []
    for instructions in able:
        kernel = library.open_kernel(instructions)
        weights = PackedWeights(folder, read_config(folder), "bounded", kernel.columns_at_once)
        encoder = PackedEncoder(kernel, weights)
        answers.append((encoder.means(rows), encoder.outputs(rows)))
    for means, outputs in answers[1:]:
        assert np.array_equal(means, answers[0][0])
        assert np.array_equal(outputs, answers[0][1])
