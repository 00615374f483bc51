"""The sections of a text model's report that need the model: robustness, attacks, attributions."""

from typing import cast

from engine.analysis import robustness
from engine.analysis.adversarial_attacks import evaluate_attacks
from engine.analysis.attributions import make_ngram_explainer, make_text_explainer
from engine.evaluation import ModelPredictions, Report
from engine.evaluation.answer_types import get_answer_type
from engine.evaluation.schema import LabelExample
from engine.metrics import MulticlassPredictions
from engine.serving.text import TextModel, compute_all_outputs
from engine.tasks import ExtraSections
from engine.tasks.text.fit import FittedTexts
from engine.tasks.text.learner import ADVERSARIAL_QUALITY
from engine.tasks.text.prepare import PreparedTexts

EXPLAINED_EXAMPLES = {"worst": 10, "confused": 5}
# Of a quick method the explanations would take longer than the training.
PROBE_EXPLAINED_EXAMPLES = {"worst": 4, "confused": 2}
QUICK_ROWS = 100


def build_extra_sections(
    prepared: PreparedTexts,
    trained: FittedTexts,
    model: TextModel,
    predictions: ModelPredictions,
    report: Report,
) -> ExtraSections:
    """The served file predicts the perturbed texts; gradients come from the network it was
    exported from. Adds explanations to the report's example rows."""
    test, head = prepared.split.test, prepared.prediction_head
    most = QUICK_ROWS if prepared.method == "probe" else robustness.MAX_TESTED_ROWS
    sample = robustness.sample_test_rows(len(test), prepared.spec.split.seed, most)
    rows, before = test[sample], get_answer_type(predictions).select_rows(predictions, sample)

    def predict(texts: list[str]) -> ModelPredictions:
        return head.build_predictions(compute_all_outputs(model, model.encode(texts)), rows)

    texts = [prepared.examples.texts[row] for row in rows]
    section = dict(robustness.evaluate_text_robustness(before, texts, predict))
    if trained.method in ("full", "upper", "lora") and isinstance(before, MulticlassPredictions):
        attacks = evaluate_attacks(
            trained.network,
            trained.network.encoder.get_input_embeddings(),
            [prepared.rows.ids[row].tolist() for row in rows],
            before.true.tolist(),
        )
        section["adversarial"] = attacks | {"sentence": _adversarial_training_sentence(trained)}
    if sentence := _augmentation_sentence(trained):
        section["augmentation"] = sentence
    method = _explain_examples(report, prepared, trained)
    return {"robustness": section, "explanations": {"method": method}}


def _adversarial_training_sentence(trained: FittedTexts) -> str:
    before = trained.adversarial_quality_before
    after = trained.state.best_metrics.get(ADVERSARIAL_QUALITY)
    if before is None or after is None:
        return "It was trained without adversarial training."
    return (
        f"Adversarial training took its accuracy on attacked validation rows from {before:.1%}"
        f" to {after:.1%}."
    )


def _augmentation_sentence(trained: FittedTexts) -> str:
    """What augmentation gave, by accuracy, micro F1 or R²; empty without it."""
    before, after = trained.augmented_quality
    if after is None:
        return ""
    if before is None:
        return (
            f"It was trained with augmentation and reaches {after:.3f} on changed validation rows."
        )
    return (
        "It was trained with augmentation. On validation rows that were all changed in the same"
        f" ways it reaches {after:.3f}, where the quick probe, which saw no changed text, reaches"
        f" {before:.3f}."
    )


def _explain_examples(report: Report, prepared: PreparedTexts, trained: FittedTexts) -> str:
    """Adds to the example rows which words made the answer; returns the method."""
    if trained.ngrams is not None:
        ngrams = trained.ngrams
        explain = make_ngram_explainer(
            ngrams.model.contributions, ngrams.tokenizer, ngrams.rows.max_length
        )
    else:
        embedding = trained.network.encoder.get_input_embeddings()
        explain = make_text_explainer(
            trained.network, embedding, prepared.tokenizer, prepared.rows.max_length
        )
    labels, method = prepared.prediction_head.labels, ""
    is_quick = prepared.method == "probe"
    counts = PROBE_EXPLAINED_EXAMPLES if is_quick else EXPLAINED_EXAMPLES
    for group, count in counts.items():
        examples = cast("dict[str, list[LabelExample]]", report["examples"])
        for example in examples.get(group, [])[:count]:
            # Of several labels the one in question; of a number the only output.
            names = (example["predicted"], example.get("runner_up"))
            target = next((labels.index(name) for name in names if name in labels), 0)
            explanation = explain(example["text"], target)
            example["explanation"] = {"words": explanation["words"]}
            method = explanation["method"]
    return method
