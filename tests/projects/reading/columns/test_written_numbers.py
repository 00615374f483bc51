"""Powers of ten, values with an error, spans of time in words and places in an order: asked about,
read exactly once chosen, and left alone where they are something else."""

import pytest

from tests.projects.conftest import rows_of, types_of


def table(cells):
    rows = (f'r{n},"{cells[n % len(cells)]}",{"ab"[n % 2]}' for n in range(40))
    return "\n".join(["x,v,kind", *rows]).encode()


@pytest.mark.parametrize(
    ("cells", "reading", "values"),
    [
        (["1.5×10^3", "950", "2 x 10^-4"], "number:1.5×10^3", [1500.0, 950.0, 0.0002]),
        (["1.5*10**3", "10^3", "-3·10^2"], "number:1.5×10^3", [1500.0, 1000.0, -300.0]),
        (["1,5×10⁻²", "2,25 X 10^(3)"], "number:1,5×10^3", [0.015, 2250.0]),
        (["0.5 ± 0.1", "12+/-2", "3.25±0.5%"], "number:1234.5 ± 0.1", [0.5, 12.0, 3.25]),
        (["1.234,5 ± 0,1", "12,3 ± 0,2"], "number:1.234,5 ± 0,1", [1234.5, 12.3]),
        (["1h 20min", "45 min", "2 hours"], "duration:1h 20min", [4800, 2700, 7200]),
        (["1d 2h", "30s", "1.5h"], "duration:1h 20min", [93_600, 30, 5400]),
        (["2 Std. 5 Min.", "1 Stunde und 1 Sekunde"], "duration:1h 20min", [7500, 3601]),
        (["1小时20分钟", "45秒"], "duration:1h 20min", [4800, 45]),
        (["1st", "2nd", "23rd", "11th"], "number:1st", [1, 2, 23, 11]),
        (["1er", "2e", "10ème"], "number:1st", [1, 2, 10]),
        (["第3名", "第12名"], "number:1st", [3, 12]),
    ],
)
def test_a_written_number_is_asked_about_and_read_as_chosen(read, cells, reading, values):
    (question,) = read(table(cells)).questions
    assert [one["name"] for one in question["readings"]] == [reading, "text"]
    chosen = read(table(cells), columns={"v": reading})
    assert [row[1] for row in rows_of(chosen)][: len(values)] == values
    assert types_of(chosen)[1] in ("integer", "number")
    assert not chosen.questions


@pytest.mark.parametrize(
    "cells",
    [
        ["1.5×12^3", "2×12^3"],
        ["2 x 10", "3 x 10", "20x30"],  # Sizes.
        ["1.5x103", "2.5x104"],  # A power whose sign was lost, or a product.
        ["±0.1", "±0.2"],
        ["1w 2d", "3d 4h"],  # A week of seven days, or of five.
        ["2h 5m", "1 Season", "3 Seasons"],
        ["5M", "3XL", "2S"],
        ["第1名", "第2章"],
        ["5th Ave", "2nd St"],
    ],
)
def test_what_only_looks_like_one_stays_text_without_a_question(read, cells):
    found = read(table(cells))
    assert (types_of(found)[1], found.questions) == ("text", [])


def test_a_word_for_missing_beside_spans_is_missing_only_when_chosen(read):
    cells = ["1h 5m", "N/A", "20m"]
    (question,) = read(table(cells)).questions
    assert question["readings"][0]["name"] == "duration:1h 20min+missing"
    chosen = read(table(cells), columns={"v": "duration:1h 20min+missing"})
    assert [row[1] for row in rows_of(chosen)][:3] == [3900, None, 1200]
