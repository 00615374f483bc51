"""The text network, its trimmed embedding and its base models, without a training run."""

import json

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from engine.catalog import get_base_model
from engine.errors import BaseModelUnavailable
from engine.tasks.text.base_models import (
    create_encoder,
    load_tokenizer,
    locate_base_model,
    max_input_tokens,
    set_dropout,
    train_tokenizer,
)
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.network import (
    TextNetwork,
    VocabularyTrimmer,
    find_encoder_layers,
    freeze_lower_half,
    load_network,
    save_network,
)

IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def encoder(layers=2, vocabulary=30):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    return BertModel(config).eval()


def test_padding_changes_no_embedding():
    network = TextNetwork(encoder(), 3).eval()
    with torch.no_grad():
        padded = network.embed(IDS, MASK)
        alone = network.embed(IDS[1:, :3], MASK[1:, :3])
    assert torch.allclose(padded[1:], alone, atol=1e-5)


def test_normalised_embeddings_have_length_one_and_empty_rows_are_finite():
    network = TextNetwork(encoder(), 3, normalise=True).eval()
    with torch.no_grad():
        assert torch.allclose(network.embed(IDS, MASK).norm(dim=1), torch.ones(2), atol=1e-5)
        nothing = network.embed(IDS, torch.zeros_like(MASK))
    assert torch.isfinite(nothing).all()


def test_a_trimmed_embedding_computes_the_same_and_gives_back_what_it_learnt():
    network = TextNetwork(encoder(), 3).eval()
    full = network.encoder.get_input_embeddings()
    before = full.weight.detach().clone()
    with torch.no_grad():
        plain = network(IDS, MASK)
    trimmer = VocabularyTrimmer(network.encoder, [7, 6, 5, 3, 2, 0])
    trimmed = network.encoder.get_input_embeddings()
    assert trimmed.weight.shape == (6, 16)
    with torch.no_grad():
        assert torch.allclose(network(IDS, MASK), plain, atol=1e-6)
        trimmed.weight[trimmed.position[5]] += 1
    trimmer.restore_full_embedding()
    after = network.encoder.get_input_embeddings()
    assert after is full
    assert torch.equal(after.weight[5], before[5] + 1)
    others = [row for row in range(30) if row != 5]
    assert torch.equal(after.weight[others], before[others])


def test_the_upper_half_learns_and_nothing_below_it():
    network = encoder(layers=5)
    assert freeze_lower_half(network)
    layers = find_encoder_layers(network)
    learns = [all(one.requires_grad for one in layer.parameters()) for layer in layers]
    assert learns == [False, False, True, True, True]
    assert not network.get_input_embeddings().weight.requires_grad


def test_an_encoder_of_one_layer_has_no_halves():
    network = encoder(layers=1)
    assert find_encoder_layers(network) is None
    assert not freeze_lower_half(network)
    assert all(one.requires_grad for one in network.parameters())


def test_a_network_is_read_as_it_was_written(tmp_path):
    network = TextNetwork(encoder(), 4, normalise=True).eval()
    save_network(network, tmp_path)
    again = load_network(tmp_path)
    assert again.normalise
    assert not again.training
    with torch.no_grad():
        assert torch.allclose(again(IDS, MASK), network(IDS, MASK), atol=1e-5)


def test_every_dropout_of_a_config_is_set_and_nothing_else():
    config = BertConfig(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.2)
    config.classifier_dropout, config.use_dropout_anywhere = None, True
    set_dropout(config, 0.3)
    assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == 0.3
    assert config.classifier_dropout is None
    assert config.use_dropout_anywhere is True


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
    ],
)
def test_positions_behind_the_padding_index_are_not_for_tokens(tmp_path, config, tokens):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert max_input_tokens(tmp_path) == tokens


def test_a_tokenizer_of_the_training_rows_brackets_texts_and_knows_their_words():
    tokenizer = train_tokenizer(["red apples", "green apples", "red pears"] * 5, 200)
    tokens = tokenizer.encode("red apples").tokens
    assert tokens[0] == "[CLS]"
    assert tokens[-1] == "[SEP]"
    assert "".join(tokens[1:-1]).replace("##", "") == "redapples"
    assert tokenizer.token_to_id("[PAD]") == 0
    assert "[UNK]" in tokenizer.encode("日本").tokens


def test_an_encoder_from_scratch_has_the_catalogs_shape():
    entry = get_base_model("small-text-transformer")
    made = create_encoder(entry, vocabulary=100, dropout=0.0)
    assert made.config.vocab_size == 100
    assert made.config.hidden_size == entry.source.config["hidden_size"]
    assert made.config.hidden_dropout_prob == 0


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(BaseModelUnavailable, match="no tokenizer that can be read"):
        load_tokenizer(tmp_path)


def test_what_is_not_installed_or_not_there_is_said(monkeypatch):
    monkeypatch.delenv("LATHE_MODELS_DIR", raising=False)
    entry = get_base_model("all-MiniLM-L6-v2")

    def from_(kind, reference):
        source = entry.source.model_copy(update={"kind": kind, "reference": reference})
        return entry.model_copy(update={"source": source})

    with pytest.raises(BaseModelUnavailable, match="package no_such_wheel, which is not installed"):
        locate_base_model(from_("wheel", "no_such_wheel"))
    with pytest.raises(BaseModelUnavailable, match="'mine/own' .* is not in LATHE_MODELS_DIR"):
        locate_base_model(from_("local", "mine/own"))


def test_features_are_found_by_row_whatever_their_order():
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    features = Features(np.array([7, 1, 9, 4]), values)
    assert features.contains_rows(np.array([9, 1]))
    assert not features.contains_rows(np.array([9, 2]))
    assert features.select_rows(np.array([9, 1, 9])).tolist() == values[[2, 1, 2]].tolist()


@pytest.mark.parametrize("more", [[2], [5, 3], [8, 0, 12]])
def test_features_that_were_lacking_join_those_known(more):
    known = Features(np.array([7, 1, 9, 4]), np.arange(8, dtype=np.float32).reshape(4, 2))
    wanted = np.array([4, *more, 7])
    assert known.missing_of(wanted).tolist() == sorted(more)
    late = np.sort(more)
    added = Features(late, np.stack([late, -late], axis=1).astype(np.float32))
    joined = known.joined(added)
    assert joined.contains_rows(wanted)
    assert joined.select_rows(np.array([9, 1])).tolist() == [[4, 5], [2, 3]]
    assert joined.select_rows(np.array(more)).tolist() == [[row, -row] for row in more]
    assert joined.frozen is known.frozen
