import numpy as np
import pytest

from engine.errors import BadTrainingData
from engine.spec import SplitSpec
from engine.splitting import split


def test_equal_texts_never_stand_on_two_sides():
    dice = np.random.default_rng(0)
    texts = [
        f"Text  {number}" if dice.random() < 0.5 else f"text {number}"
        for number in dice.integers(300, size=1000)
    ]
    labels = dice.integers(4, size=1000).tolist()
    parts = split(texts, labels, SplitSpec())
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
    parts = split([f"t{number}" for number in range(rows)], labels, SplitSpec())
    assert len(parts.test) == pytest.approx(rows * 0.1, abs=2)
    assert len(parts.validation) == pytest.approx(rows * 0.05, abs=2)
    assert {labels[row] for row in parts.train} == set(range(13))


def test_each_label_gives_its_share():
    labels = [0] * 900 + [1] * 100
    parts = split([f"t{number}" for number in range(1000)], labels, SplitSpec())
    assert sum(labels[row] for row in parts.test) == pytest.approx(10, abs=1)


def test_the_seed_decides():
    texts, labels = [f"t{number}" for number in range(200)], [0, 1] * 100
    first, again = (split(texts, labels, SplitSpec(seed=3)) for _ in range(2))
    other = split(texts, labels, SplitSpec(seed=4))
    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != other.test.tolist()


def test_a_given_column_is_followed_and_leaks_leave_the_training_rows():
    texts = ["same", "b", "c", "same", "e"]
    given = ["train", "Train", "dev", "test", "test"]
    parts = split(texts, [0, 1, 0, 0, 1], SplitSpec(column="part"), given)
    assert parts.train.tolist() == [1]
    assert parts.test.tolist() == [3, 4]
    assert "1 rows also appear" in parts.warnings[0]


def test_a_split_word_we_do_not_know_is_named_with_its_row():
    with pytest.raises(BadTrainingData, match="'later' in row 2"):
        split(["a", "b"], [0, 1], SplitSpec(column="part"), ["train", "later"])
