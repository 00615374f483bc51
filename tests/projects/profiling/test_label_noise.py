"""Labels that were flipped are found, and hardly any other."""

import random

import pytest

from projects.importing import imports
from projects.profiling.label_noise import find_doubtful_labels
from projects.queries.rows import RowQuery, load_rows

TOPICS = {
    "delivery": "parcel courier box door arrived late shipping package tracking street",
    "payment": "card money bank charge refund invoice fee transfer account cents",
    "login": "password reset code sign user locked screen mail link session",
}
CHINESE = {"配送": "快递包裹送货上门延迟物流单号地址", "付款": "银行卡退款扣费账单转账金额支付宝"}


def talk(topics, rows, dice):
    for _ in range(rows):
        label = dice.choice(list(topics))
        words = topics[label].split() if " " in topics[label] else list(topics[label])
        shared = ["please", "help", "today", "my"] if " " in topics[label] else list("请问我的了吗")
        joint = " " if " " in topics[label] else ""
        yield joint.join(dice.choices(words, k=6) + dice.choices(shared, k=4)), label


@pytest.mark.parametrize("topics", [TOPICS, CHINESE], ids=["words", "characters"])
def test_flipped_labels_are_found_with_what_they_were(topics):
    dice = random.Random(0)
    texts, truth = map(list, zip(*talk(topics, 400, dice), strict=True))
    flipped = set(dice.sample(range(400), 20))
    given = [
        dice.choice([other for other in topics if other != label]) if row in flipped else label
        for row, label in enumerate(truth)
    ]
    found = find_doubtful_labels(texts, given)
    right = {one.place for one in found} & flipped
    assert len(right) >= 16
    assert len(found) <= len(right) + 3
    assert all(one.likely == truth[one.place] for one in found if one.place in flipped)


@pytest.mark.parametrize(
    "labels",
    [["a"] * 300, [str(n) for n in range(300)], ["a", "b", "c"] * 100],
    ids=["one", "all different", "unrelated to the text"],
)
def test_where_nothing_can_be_known_nothing_is_said(labels):
    texts = [text for text, _ in talk(TOPICS, 300, random.Random(1))]
    assert len(find_doubtful_labels(texts, labels)) <= 3


@pytest.mark.django_db
def test_a_file_with_flipped_labels_is_mended_by_one_click(bring_in, client_of, alice):
    dice = random.Random(3)
    rows = [[text, label] for text, label in talk(TOPICS, 300, dice)]
    rows[7][1] = "payment" if rows[7][1] != "payment" else "login"
    table = "\n".join(["text,label", *(",".join(row) for row in rows)]).encode()
    version = bring_in(table)
    (doubt,) = [one for one in version.profile["doubtful_labels"] if one["row"] == 7]
    codes = [one.get("code") for one in version.profile["warnings"]]
    page = f"/datasets/{version.dataset_id}/"
    shown = client_of(alice).get(f"{page}?tab=quality").content.decode()
    assert "probably labelled wrongly" in shown
    for other, kept in (("", 300), ("yes", 300 - len(version.profile["doubtful_labels"]))):
        fields = {"warning": codes.index("label_noise"), "other": other}
        client_of(alice).post(f"{page}fix/?version={version.number}", fields)
        mended = version.dataset.latest
        imports.import_version(mended.pk)
        mended.refresh_from_db()
        assert mended.rows == kept
        if not other:
            cell = load_rows(mended, RowQuery()).rows[7].cells[1]
            assert cell == doubt["likely"]
