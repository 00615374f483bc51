"""What a text model's report says beyond its answers: robustness, attacks, attributions."""

from typing import Any

from engine import robustness
from engine.attacking import attack
from engine.evaluation import Given
from engine.evaluation.kinds import kind_of
from engine.explaining import text_explainer
from engine.metrics import Answers
from engine.serving.text import TextModel, outputs_of_all
from engine.tasks.text_fitting import Trained
from engine.tasks.text_learning import ATTACKED
from engine.tasks.text_preparation import Prepared

EXPLAINED = {"worst": 10, "confused": 5}
# A quick method would wait longer for its report than for its model.
QUICKLY_EXPLAINED = {"worst": 4, "confused": 2}
QUICK_ROWS = 100


def further_checks(
    prepared: Prepared, trained: Trained, model: TextModel, given: Given, report: dict[str, Any]
) -> dict[str, Any]:
    """Parts to add to the report. What is served answers the changed texts; gradients come from
    the network it was exported from."""
    test, examples = prepared.split.test, prepared.examples
    most = QUICK_ROWS if prepared.method == "probe" else robustness.MOST_ROWS
    sample = robustness.sample_rows(len(test), prepared.spec.split.seed, most)
    rows, before = test[sample], kind_of(given).take(given, sample)

    def answer(texts: list[str]) -> Given:
        return prepared.goal.answers(outputs_of_all(model, model.encode(texts)), rows)

    texts = [examples.texts[row] for row in rows]
    found: dict[str, Any] = dict(robustness.texts_under_change(before, texts, answer))
    if trained.method in ("full", "upper", "lora") and isinstance(before, Answers):
        encoded = [prepared.rows.ids[row].tolist() for row in rows]
        embedding = trained.network.encoder.get_input_embeddings()
        found["adversarial"] = attack(trained.network, embedding, encoded, before.true.tolist())
        found["adversarial"]["sentence"] = _about_training(trained)
    return {"robustness": found, "explanations": _explain(report, prepared, trained)}


def _about_training(trained: Trained) -> str:
    before, after = trained.attacked_before, trained.state.best_metrics.get(ATTACKED)
    if before is None or after is None:
        return "It was trained without adversarial training."
    return (
        f"Adversarial training took its accuracy on attacked validation rows from {before:.1%}"
        f" to {after:.1%}."
    )


def _explain(report: dict[str, Any], prepared: Prepared, trained: Trained) -> dict[str, Any]:
    """Adds the words that made the answer to the example rows; returns how that was done."""
    network = trained.network
    embedding = network.encoder.get_input_embeddings()
    explain = text_explainer(network, embedding, prepared.tokenizer, prepared.rows.max_length)
    method = ""
    wanted = QUICKLY_EXPLAINED if prepared.method == "probe" else EXPLAINED
    for group, most in wanted.items():
        for row in report["examples"].get(group, [])[:most]:
            explained = explain(row["text"], _target(prepared.goal.labels, row))
            row["explanation"] = {"words": explained["words"]}
            method = explained["method"]
    return {"method": method}


def _target(labels: list[str], row: dict[str, Any]) -> int:
    """The output that is explained: the answer, the label in question, or the number."""
    for name in (row["predicted"], row.get("runner_up")):
        if name in labels:
            return labels.index(name)
    return 0
