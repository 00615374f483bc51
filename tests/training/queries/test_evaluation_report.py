"""A stored report as the model page draws it, also where a task or an old version lacks parts."""

import pytest

from training.queries.evaluation_report import (
    MAX_MATRIX_LABELS,
    fairness_context,
    format_p_value,
    format_significance,
    report_context,
)


def measure(name, value, share=True):
    return {"name": name, "title": name, "value": value, "low": 0.1, "high": 0.9, "share": share}


def significance(difference, metric="accuracy"):
    return {
        "method": "test", "metric": metric, "difference": difference,
        "low": difference - 0.01, "high": difference + 0.01, "p_value": 0.0004,
    }  # fmt: skip


def test_an_empty_report_is_drawn_empty():
    context = report_context({})
    assert context["matrix"] is None
    assert context["verdict"].word == "Not compared"
    for part in ("main_metrics", "contenders", "pairs", "bins", "curves", "fairness", "exports"):
        assert context[part] == [], part
    assert context["robustness"] == {}
    assert context["data"]["train_rows"] is None


def test_the_main_metrics_come_first_and_the_rest_folds_away():
    report = {"metrics": [measure("hamming_loss", 0.1), measure("accuracy", 0.9)]}
    context = report_context(report)
    assert [metric["name"] for metric in context["main_metrics"]] == ["accuracy"]
    assert [metric["name"] for metric in context["more_metrics"]] == ["hamming_loss"]
    assert context["main_metrics"][0]["shown"] == "90.0%"


def test_this_model_stands_above_what_it_is_compared_with():
    baseline = {
        "id": "tfidf", "name": "TF-IDF", "note": "", "metrics": [measure("accuracy", 0.8)],
        "significance": significance(0.1),
    }  # fmt: skip
    report = {"metrics": [measure("accuracy", 0.9), measure("f1", 0.5)], "baselines": [baseline]}
    ours, other = report_context(report)["contenders"]
    assert (ours["name"], ours["ours"], ours["lead"]) == ("This model", True, "")
    assert [cell["shown"] for cell in ours["cells"]] == ["90.0%"]
    assert other["lead"] == "+10.0 points"
    assert other["lead_interval"] == "+9.0 points to +11.0 points"
    assert other["p_value"] == "< 0.001"


def test_the_lead_in_a_number_has_its_unit():
    words = format_significance(significance(-2.5, "rmse"), {"rmse": {"share": False}})
    assert words["lead"] == "-2.500"
    assert format_significance(None, {}) == {"lead": "", "lead_interval": "", "p_value": ""}


@pytest.mark.parametrize(("value", "text"), [(0.0001, "< 0.001"), (0.0456, "0.046"), (1, "1")])
def test_p_values_have_two_digits(value, text):
    assert format_p_value(value) == text


def test_the_heat_of_a_cell_is_its_share_of_the_true_label():
    confusion = {"labels": ["a", "b"], "matrix": [[3, 1], [0, 0]], "pairs": []}
    (true_a, cells_a), (_, cells_b) = report_context({"confusion": confusion})["matrix"]
    assert true_a == "a"
    assert [cell.heat for cell in cells_a] == [0.75, 0.25]
    assert [cell.is_correct for cell in cells_a] == [True, False]
    assert [cell.heat for cell in cells_b] == [0, 0]


def test_a_matrix_of_too_many_labels_is_not_drawn():
    labels = [str(number) for number in range(MAX_MATRIX_LABELS + 1)]
    confusion = {"labels": labels, "matrix": [[1] * len(labels)] * len(labels), "pairs": []}
    assert report_context({"confusion": confusion})["matrix"] is None


def test_rates_of_groups_are_percentages_in_one_order_and_errors_are_numbers():
    rates = {
        "accuracy": {"value": 0.5, "low": 0.4, "high": 0.6},
        "selection_rate": {"value": 0.25, "low": None, "high": None},
        "mae": {"value": 12.5, "low": 12.0, "high": 13.0},
    }
    group = {"name": "x", "rows": 5, "is_small": False, "rates": rates}
    gap = {"name": "equalized_odds", "value": 0.1, "low": 0.0, "high": 0.2, "method": "m"}
    question = {"label": None, "groups": [group], "gaps": [gap]}
    context = fairness_context({"column": "lang", "questions": [question]})
    cells = context["questions"][0]["groups"][0]["cells"]
    assert [cell["title"] for cell in cells] == [
        "Selection rate", "Accuracy", "Mean absolute error"
    ]  # fmt: skip
    assert [cell["shown"] for cell in cells] == ["25.0%", "50.0%", "12.500"]
    assert cells[0]["interval"] == ""
    assert context["questions"][0]["gaps"][0]["title"] == "Equalised odds"


def test_each_exported_file_says_whether_it_answers_requests():
    parity = {
        "model.onnx": {"accuracy_delta": -0.01, "largest_logit_difference": 0.00012},
        "served": "model.onnx",
    }
    (row,) = report_context({"parity": parity})["exports"]
    assert row["is_served"]
    assert (row["accuracy_change"], row["difference"]) == ("-1.00%", "0.00012")


def test_what_counted_in_an_example_is_drawn_with_it():
    example = {
        "row": 3, "text": "my card", "error": 2.0, "probability": 0.9,
        "explanation": {"words": [{"start": 3, "end": 7, "score": 1.0}]},
    }  # fmt: skip
    ((title, _, (row,)),) = report_context({"examples": {"worst": [example]}})["example_groups"]
    assert title == "Worst"
    assert (row["error"], row["probability"]) == ("2.000", 0.9)
    assert [piece["strength"] for piece in row["pieces"]] == [0, 100, 0]
