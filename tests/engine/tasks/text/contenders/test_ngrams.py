"""The linear model on n-grams: the same numbers in scikit-learn, in ONNX and in its explanation; it
is kept exactly where it answers better than the network."""

import json
import random

import numpy as np
import onnxruntime
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from engine import artifact, serving
from engine.analysis.on_demand import AnalysisRequest, analyse
from engine.prediction import evaluate_artifact, reexport_onnx
from engine.prediction_heads import MultiClass, MultiLabel, Regression
from engine.tasks.text.contenders import ngram_contender
from engine.tasks.text.contenders.ngram_contender import train_character_tokenizer
from engine.tasks.text.contenders.ngrams import fit_ngrams, load_ngrams
from tests.engine.test_pipeline import folder_of, run_here

VOCABULARY = 40
SPECIAL = (2, 3)


def token_rows(rows=60, seed=0):
    """Token ids between the special tokens 2 and 3, and a label that two of them decide."""
    rng = random.Random(seed)
    ids = [[2, *rng.choices(range(4, VOCABULARY), k=rng.randint(1, 12)), 3] for _ in range(rows)]
    labels = np.array([int(4 in row) + int(5 in row) for row in ids])
    return ids, labels


def fitted(ids, head, longest=2):
    train, validation = np.arange(40), np.arange(40, 50)
    found = fit_ngrams(
        ids, head, train, validation, vocabulary=VOCABULARY, longest=longest, special=SPECIAL
    )
    return found[0] if found else None


def heads(labels):
    train, names = np.arange(40), ["a", "b", "c"]
    flags = np.stack([labels > 0, labels == 0, labels > 1], axis=1)
    return {
        "label": MultiClass(labels, names, train, smoothing=0, balanced=True),
        "labels": MultiLabel(flags, names, train, smoothing=0, balanced=False),
        "number": Regression(labels.astype(float), train),
    }


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_features_are_those_of_scikit_learn(longest):
    ids, labels = token_rows()
    model = fitted(ids, heads(labels)["label"], longest)
    plain = [[token for token in row if token not in SPECIAL] for row in ids]
    oracle = TfidfVectorizer(
        analyzer=lambda row: [
            tuple(row[start : start + n])
            for n in range(1, longest + 1)
            for start in range(len(row) - n + 1)
        ],
        sublinear_tf=True,
    ).fit(plain[:40])
    expected = oracle.transform(plain).toarray()
    order = [oracle.vocabulary_[ngram] for ngram in model.ngrams]
    assert len(order) == expected.shape[1]
    assert model.features(ids).toarray() == pytest.approx(expected[:, order], abs=1e-6)


@pytest.mark.parametrize("kind", ["label", "labels", "number"])
def test_the_file_computes_the_same_whatever_stands_beside_a_row(tmp_path, kind):
    ids, labels = token_rows()
    model = fitted(ids, heads(labels)[kind])
    model.write_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    expected = model.outputs(ids)
    unseen = [[], [1, 1], [2, 3]]
    for batch in (ids[:1], ids[50:], unseen):
        width = max(map(len, batch)) + 3  # Padding beyond the longest.
        padded = np.array([row + [0] * (width - len(row)) for row in batch])
        feed = {"input_ids": padded, "attention_mask": (padded > 0).astype(np.int64)}
        outputs = session.run(["logits"], feed)[0]
        assert outputs == pytest.approx(model.outputs(batch), abs=1e-5)
    assert model.outputs(unseen) == pytest.approx(np.tile(model.bias, (3, 1)), abs=1e-6)
    assert expected.shape == (60, 1 if kind == "number" else 3)


def test_contributions_and_bias_add_up_to_the_output(tmp_path):
    ids, labels = token_rows()
    model = fitted(ids, heads(labels)["label"])
    model.save(tmp_path)
    model = load_ngrams(tmp_path)
    for row in ids[:10]:
        for output in range(3):
            total = sum(model.contributions(row, output)) + model.bias[output]
            assert total == pytest.approx(float(model.outputs([row])[0, output]), abs=1e-5)


def test_a_label_without_training_rows_is_never_predicted():
    ids, labels = token_rows()
    head = MultiClass(
        labels % 2 + 1, ["never", "b", "c"], np.arange(40), smoothing=0, balanced=False
    )
    assert (fitted(ids, head).outputs(ids).argmax(1) > 0).all()


def test_rows_without_tokens_give_no_model():
    ids, labels = [[2, 3]] * 60, np.arange(60) % 2
    head = MultiClass(labels, ["a", "b"], np.arange(40), smoothing=0, balanced=False)
    assert fitted(ids, head) is None


def test_characters_are_tokens_in_every_script():
    tokenizer = train_character_tokenizer(["Ab 好", "ｂ"])
    encoding = tokenizer.encode("aB好?")
    assert encoding.tokens == ["a", "b", "好", "[UNK]"]
    assert encoding.offsets == [(0, 1), (1, 2), (2, 3), (3, 4)]


def chinese_reviews(rows=240, seed=1):
    rng = random.Random(seed)
    good, bad = ["好吃", "很快", "推荐", "新鲜"], ["难吃", "太慢", "失望", "凉了"]
    filler = ["外卖", "送餐", "味道", "今天", "老板", "米饭", "点了", "两份"]
    texts, labels = [], []
    for _ in range(rows):
        label = rng.choice(["good", "bad"])
        words = rng.choices(filler, k=5) + rng.choices(good if label == "good" else bad, k=2)
        rng.shuffle(words)
        texts.append("".join(words))
        labels.append(label)
    return {"text": texts, "label": labels}


@pytest.mark.slow
def test_a_script_that_the_base_model_lacks_is_learnt_by_characters(write_spec, tmp_path):
    """With a tokenizer that knows none of the words every text is the same to the network."""
    spec = write_spec("chinese", columns=chinese_reviews(), hyperparameters={"method": "probe"})
    run_here(spec)
    folder = folder_of(spec)
    manifest, report = artifact.verify(folder), json.loads((folder / "report.json").read_text())
    assert manifest.training["method"] == "ngrams"
    assert "linear model on characters reached accuracy" in manifest.training["reason"]
    accuracy = next(metric for metric in report["metrics"] if metric["name"] == "accuracy")
    assert accuracy["value"] > 0.95
    assert {"tfidf", "probe"} <= {baseline["id"] for baseline in report["baselines"]}
    served = serving.load_model(folder)
    answers = served.answer(["味道好吃很快", "太慢了失望"])
    assert [answer["label"] for answer in answers] == ["good", "bad"]
    alone = [served.answer([text])[0] for text in ("味道好吃很快", "太慢了失望")]
    assert [one["probability"] for one in alone] == [one["probability"] for one in answers]
    explained = analyse(AnalysisRequest(kind="explain", artifact=folder, input="味道 好吃"))
    best = max(explained["words"], key=lambda word: word["score"])
    assert best["text"] in "好吃"
    data = json.loads(spec.read_text())["data"]
    assert evaluate_artifact(folder, data)["metrics"]
    assert reexport_onnx(folder, tmp_path / "again", data)["served"] == "model.onnx"


@pytest.mark.slow
def test_whoever_wants_no_contenders_gets_the_method(write_spec):
    spec = write_spec(
        "asked", columns=chinese_reviews(), hyperparameters={"method": "probe", "contenders": False}
    )
    run_here(spec)
    assert artifact.verify(folder_of(spec)).training["method"] == "probe"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "units"), [("probe", ["words"]), ("head", ["words", "characters"])]
)
def test_the_quick_method_takes_words_alone(method, units, write_spec, monkeypatch):
    tried = []

    def fit(prepared, tokenizer, rows, train, unit):
        tried.append(unit)
        return

    monkeypatch.setattr(ngram_contender, "_fit", fit)
    run_here(write_spec(method, hyperparameters={"method": method}))
    assert tried == units


def test_the_quick_method_takes_characters_where_words_are_not_known(write_spec):
    spec = write_spec("han", columns=chinese_reviews(), hyperparameters={"method": "probe"})
    run_here(spec)
    assert artifact.verify(folder_of(spec)).training["method"] == "ngrams"


@pytest.mark.parametrize("labels_per_row", ["one", "several"])
def test_what_is_cheap_learns_the_validation_rows_once_they_have_chosen(write_spec, labels_per_row):
    """But where they choose thresholds, which needs rows that the model has not seen."""
    hyperparameters = {"method": "probe", "labels_per_row": labels_per_row}
    spec = write_spec("known", columns=chinese_reviews(), hyperparameters=hyperparameters)
    run_here(spec)
    report = json.loads((folder_of(spec) / "report.json").read_text())
    tfidf = next(one for one in report["baselines"] if one["id"] == "tfidf")
    data = report["data"]
    rows = data["train_rows"] + (data["validation_rows"] if labels_per_row == "one" else 0)
    assert tfidf["note"].startswith(f"fitted on {rows:,} training")
