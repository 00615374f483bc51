"""Texts of numbers in a request are read as the upload that the model learnt from wrote them."""

import pytest

from engine.spec import parse_spec
from engine.tasks.tabular.encoder import parse_number
from engine.tasks.tabular.features import infer_features
from engine.tasks.tabular.reader import read_table
from projects import storage
from projects.importing.editing import edit_version
from projects.importing.imports import import_version

pytestmark = pytest.mark.django_db


def rows_of(prices, delimiter):
    lines = [f"{price}{delimiter}{number % 7}{delimiter}{'ab'[number % 2]}"
             for number, price in enumerate(prices * 10)]  # fmt: skip
    return "\n".join([delimiter.join(("price", "amount", "kind")), *lines]).encode()


def features_of(version, tmp_path):
    with storage.local_file(version.parquet_key) as data:
        spec = parse_spec({
            "task": "tabular-classification", "data": str(data), "target_column": "kind",
            "feature_columns": ["price", "amount"], "output": str(tmp_path / "artifact"),
            "work": str(tmp_path / "work"),
        })  # fmt: skip
        table = read_table(spec)
    features, _ = infer_features(table.columns, table.names, range(len(table.rows)))
    return {feature.name: feature for feature in features}


@pytest.mark.parametrize(
    ("prices", "delimiter", "cell", "number"),
    [
        (["1.234,50", "12,00", "1.000,25"], ";", "1.234", 1234.0),
        (["12,50", "3,75", "1234,25"], ";", "1,234", 1.234),
        (['"1,234.50"', "12.00", '"1,000.25"'], ",", "1,234", 1234.0),
        (["1'234.50", "12.00", "1'000.25"], ",", "1'234", 1234.0),
        (["€1.234,50", "€12,00", "€1.000,25"], ";", "€ 1.234", 1234.0),
    ],
)
def test_a_request_means_what_the_upload_meant(
    bring_in, alice, tmp_path, prices, delimiter, cell, number
):
    version = bring_in(rows_of(prices, delimiter))
    features = features_of(version, tmp_path)
    assert parse_number(features["price"], cell) == number
    assert features["amount"].number_format == ""  # Whole digits: nothing is known of its marks.


def test_an_edited_table_still_says_how_its_numbers_were_written(bring_in, alice, tmp_path):
    version = bring_in(rows_of(["1.234,50", "12,00", "1.000,25"], ";"))
    edited = edit_version(version, [{"op": "drop_rows", "rows": [3]}], alice)
    import_version(edited.pk)
    edited.refresh_from_db()
    assert parse_number(features_of(edited, tmp_path)["price"], "1.234") == 1234.0
