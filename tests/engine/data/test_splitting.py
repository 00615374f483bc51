import numpy as np
import pytest

from engine.data.near_duplicates import group_texts
from engine.data.splitting import split_rows
from engine.errors import BadTrainingData
from engine.spec import SplitSpec


def test_equal_texts_never_stand_on_two_sides():
    dice = np.random.default_rng(0)
    texts = [
        f"Text  {number}" if dice.random() < 0.5 else f"text {number}"
        for number in dice.integers(300, size=1000)
    ]
    labels = dice.integers(4, size=1000).tolist()
    parts = split_rows(texts, labels, SplitSpec())
    sides = [
        {" ".join(texts[row].casefold().split()) for row in part}
        for part in (parts.train, parts.validation, parts.test)
    ]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert sum(map(len, (parts.train, parts.validation, parts.test))) == 1000


@pytest.mark.parametrize("rows", [30, 100, 1000, 20_000])
def test_shares_come_out_right_and_every_label_is_trained_on(rows):
    labels = [number % 13 for number in range(rows)]
    parts = split_rows([f"t{number}" for number in range(rows)], labels, SplitSpec())
    assert len(parts.test) == pytest.approx(rows * 0.1, abs=2)
    assert len(parts.validation) == pytest.approx(rows * 0.05, abs=2)
    assert {labels[row] for row in parts.train} == set(range(13))


def test_each_label_gives_its_share():
    labels = [0] * 900 + [1] * 100
    parts = split_rows([f"t{number}" for number in range(1000)], labels, SplitSpec())
    assert sum(labels[row] for row in parts.test) == pytest.approx(10, abs=1)


def test_the_seed_decides():
    texts, labels = [f"t{number}" for number in range(200)], [0, 1] * 100
    first, again = (split_rows(texts, labels, SplitSpec(seed=3)) for _ in range(2))
    other = split_rows(texts, labels, SplitSpec(seed=4))
    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != other.test.tolist()


def test_a_given_column_is_followed_and_leaks_leave_the_training_rows():
    texts = ["same", "b", "c", "same", "e"]
    cells = ["train", "Train", "dev", "test", "test"]
    parts = split_rows(texts, [0, 1, 0, 0, 1], SplitSpec(column="part"), cells)
    assert parts.train.tolist() == [1]
    assert parts.test.tolist() == [3, 4]
    assert "1 row also appears" in parts.warnings[0]


WORDS = ["refund", "card", "courier", "box", "door", "account", "invoice", "letter", "order"]


def letters(count, words=60):
    dice = np.random.default_rng(1)
    return [" ".join(dice.choice(WORDS, words)) for _ in range(count)]


def sides_of(parts, rows):
    """The part that each row is in; rows that were left out are in none."""
    side = dict.fromkeys(range(rows), "none")
    for name in ("train", "validation", "test"):
        side |= dict.fromkeys(getattr(parts, name).tolist(), name)
    return side


@pytest.mark.parametrize("method", ["stratified", "random", "group", "time", "column"])
def test_near_duplicates_never_straddle_whatever_the_method(method):
    first = letters(200)
    again = [f"{text.upper()}, {WORDS[0]}!" for text in first]  # A word more, other case and marks.
    dice = np.random.default_rng(2)
    values = {
        "group": [str(row % 80 if row else 7) for row in [*range(200), *range(200)]],
        "time": [f"2024-{1 + n % 12:02}-{1 + n % 28:02}" for n in dice.integers(300, size=400)],
        "column": dice.choice(["train", "dev", "test"], 400).tolist(),
    }.get(method)
    spec = SplitSpec(method=method, column="by" if values else None)
    parts = split_rows([*first, *again], [0, 1] * 200, spec, values, are_texts=True)
    side = sides_of(parts, 400)
    pairs = {(side[row], side[row + 200]) for row in range(200)}
    assert all(one == other or "none" in (one, other) for one, other in pairs)
    assert {"train", "validation", "test"} <= set(side.values())


def test_short_texts_and_rows_of_a_table_that_differ_in_a_word_are_not_the_same():
    texts = [f"my {word} never came" for word in WORDS]
    assert len(group_texts(texts).groups) == len(WORDS)
    rows = ["a=1.5, b=2", "a=15, b=2", "a=1.5, b=-2"] * 10
    parts = split_rows(rows, [0] * 30, SplitSpec(test_fraction=0.4))
    assert len(parts.test) == 10


def test_many_letters_of_one_template_are_told_instead_of_filling_one_side():
    template = letters(1, 100)[0]
    texts = [f"{template} number {number}" for number in range(300)]
    parts = split_rows(texts, [0, 1] * 150, SplitSpec(), are_texts=True)
    assert len(parts.test) == 30
    assert "300 texts follow a few templates" in parts.warnings[0]


def test_no_group_stands_on_two_sides_and_rows_without_one_stand_alone():
    groups = [None if row % 7 == 0 else f"customer {row % 40}" for row in range(400)]
    spec = SplitSpec(method="group", column="customer")
    parts = split_rows(
        [f"t{row}" for row in range(400)], [row % 3 for row in range(400)], spec, groups
    )
    side = sides_of(parts, 400)
    for customer in set(groups) - {None}:
        assert len({side[row] for row in range(400) if groups[row] == customer}) == 1
    assert len({side[row] for row in range(400) if groups[row] is None}) > 1
    assert len(parts.test) == pytest.approx(40, abs=10)
    with pytest.raises(BadTrainingData, match="too few groups of rows \\(2\\)"):
        split_rows(["a", "b", "c"], [0, 0, 0], spec, ["x", "x", "y"])


@pytest.mark.parametrize(
    "moment",
    [lambda n: f"2023-{1 + n // 28:02}-{1 + n % 28:02}", str,
     lambda n: f"2024-01-01T{n // 60:02}:{n % 60:02}:00+02:00"],
    ids=["days", "numbers", "moments"],
)  # fmt: skip
def test_the_newest_rows_are_the_test(moment):
    order = np.random.default_rng(0).permutation(300).tolist()
    spec = SplitSpec(method="time", column="day")
    parts = split_rows([f"t{n}" for n in order], [0] * 300, spec, [moment(n) for n in order])
    assert sorted(order[row] for row in parts.test) == list(range(270, 300))
    assert sorted(order[row] for row in parts.validation) == list(range(255, 270))


@pytest.mark.parametrize(
    ("undated", "warning"),
    [(1, "1 row has no day: trained on."), (2, "2 rows have no day: trained on.")],
)
def test_rows_without_a_day_are_trained_on_and_counted(undated, warning):
    days = [None] * undated + [f"2024-01-{1 + n % 28:02}" for n in range(100)]
    spec = SplitSpec(method="time", column="day")
    parts = split_rows([f"t{n}" for n in range(len(days))], [0] * len(days), spec, days)
    assert parts.train.tolist()[:undated] == list(range(undated))
    assert parts.warnings == [warning]


def test_rows_of_one_moment_stay_together_and_what_is_no_time_is_named():
    days = ["2024-01-01"] * 50 + ["2024-01-02"] * 50
    spec = SplitSpec(method="time", column="day")
    parts = split_rows([f"t{n}" for n in range(100)], [0] * 100, spec, days)
    assert parts.test.tolist() == list(range(50, 100))
    with pytest.raises(BadTrainingData, match="one moment"):
        split_rows(["a", "b"], [0, 0], spec, ["2024-01-01"] * 2)
    with pytest.raises(BadTrainingData, match="'soon' in row 2"):
        split_rows(["a", "b"], [0, 0], spec, ["2024-01-01", "soon"])


def test_a_split_word_we_do_not_know_is_named_with_its_row():
    with pytest.raises(BadTrainingData, match="'later' in row 2"):
        split_rows(["a", "b"], [0, 1], SplitSpec(column="part"), ["train", "later"])
