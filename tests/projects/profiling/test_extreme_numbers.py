"""Whatever numbers a file holds, each finding about numbers is worked out or left out."""

import itertools
import random

import pytest

from projects.importing.import_process import carry_out

MAGNITUDES = {
    "decimals of 18 digits": ["43579999999999984", "-43579999999999984", "105.5", "7"],
    "largest doubles": ["1.7e308", "-1.7e308", "1e-320", "3"],
    "smallest doubles": ["5e-324", "1e-320", "-1e-310", "2e-9"],
    "integers of 64 bits": ["9223372036854775807", "-9223372036854775808", "0", "5"],
    "integers beyond": ["92233720368547758080", "-1", "2", "170141183460469231731687303715884"],
    "infinite": ["inf", "-inf", "nan", "1.5"],
    "nearly alike": ["1.0000000000000002", "1.0000000000000004", "1", "0.9999999999999999"],
}


@pytest.mark.parametrize("name", MAGNITUDES)
def test_every_finding_about_numbers_takes_every_magnitude(tmp_path, name):
    dice = random.Random(name)
    wide = [cell for _, cell in zip(range(60), itertools.cycle(MAGNITUDES[name]), strict=False)]
    spread = [f"{dice.choice(MAGNITUDES[name])}" if n % 9 == 0 else f"{n}.25" for n in range(60)]
    scaled = [f"{(n + 1) * 726333333333333}.5" for n in range(59)] + ["-9000000000000000000.5"]
    lines = ["wide,spread,scaled,label", *(
        f"{a},{b},{c},{'xy'[n % 2]}"
        for n, (a, b, c) in enumerate(zip(wide, spread, scaled, strict=True))
    )]  # fmt: skip
    (tmp_path / "upload").write_text("\n".join(lines) + "\n")
    order = {"upload": str(tmp_path / "upload"), "filename": "x.csv", "overrides": {}}
    asked = {one["column"] for one in carry_out(order, tmp_path)["table"]["profile"]["questions"]}
    assert "scaled" in asked  # Its last digits would be rounded; somebody says that they may be.
    order["overrides"] = {"columns": dict.fromkeys(asked, "number:1234.5")}
    answer = carry_out(order, tmp_path)
    assert answer["failure"] is None
    profile = answer["table"]["profile"]
    columns = {column["name"]: column for column in profile["columns"]}
    assert columns["scaled"]["max"] > columns["scaled"]["min"]
    assert sum(columns["scaled"]["histogram"]) == 60


def test_outliers_and_histograms_of_tiny_and_huge_numbers_are_found(tmp_path):
    rows = [f"{n + 1}e-12,{n + 1}e300,2.5" for n in range(40)]
    lines = ["tiny,huge,same", *rows, "1e-3,-1.7e308,2.5"]
    (tmp_path / "upload").write_text("\n".join(lines) + "\n")
    order = {"upload": str(tmp_path / "upload"), "filename": "x.csv", "overrides": {}}
    profile = carry_out(order, tmp_path)["table"]["profile"]
    tiny, huge, same = profile["columns"]
    assert (tiny["min"], tiny["max"]) == (1e-12, 0.001)
    assert (huge["min"], huge["max"]) == (-1.7e308, 4e301)
    assert [sum(column["histogram"]) for column in (tiny, huge)] == [41, 41]
    assert same["histogram"] == [41, *[0] * 11]
    said = [one["sentence"] for one in profile["warnings"] if one.get("code") == "outliers"]
    assert said == [
        "1 cell is far from all others in tiny, such as 0.001.",
        "1 cell is far from all others in huge, such as -1.7e+308.",
    ]
