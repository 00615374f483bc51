"""Findings that offer a fix, and that the fix leaves nothing to find."""

import random

import numpy as np
import pytest
from PIL import Image

from projects.importing.editing import apply_fix
from projects.importing.imports import import_version
from projects.queries.rows import RowQuery, load_rows
from tests.pictures import encoded, photos, zipped

pytestmark = pytest.mark.django_db
TOPICS = {"delivery": ["parcel", "courier", "box"], "payment": ["card", "refund", "bank"]}


def texts(rows=120, seed=0):
    """Lines of a table of texts, labels and splits, none of them alike."""
    dice, lines = random.Random(seed), []
    for n in range(rows):
        label = sorted(TOPICS)[n % 2]
        words = " and ".join(dice.choice(TOPICS[label]) for _ in range(3))
        lines.append(f"my {words} case {n * 7919},{label},{'test' if n % 4 == 3 else 'train'}")
    return lines


def codes(version):
    return {finding.get("code", "") for finding in version.profile["warnings"]}


@pytest.fixture
def mended(bring_in):
    """A version of these lines that has a finding, and the versions after its fixes."""

    def mend(lines, code):
        version = bring_in("\n".join(lines).encode())
        assert version.status == "ready", version.failure_sentence
        found = [finding.get("code") for finding in version.profile["warnings"]]
        assert code in found, version.profile["warnings"]
        finding, made = version.profile["warnings"][found.index(code)], []
        for name in ("fix", "other_fix"):
            if name in finding:
                after = apply_fix(version, found.index(code), None, is_other=name == "other_fix")
                import_version(after.pk)
                after.refresh_from_db()
                assert after.overrides["based_on"] == version.number
                assert code not in codes(after), after.profile["warnings"]
                made.append(after)
        return version, *made

    return mend


HEAD = "text,label,split"


def test_a_plain_table_has_none_of_these_findings(bring_in):
    version = bring_in("\n".join([HEAD, *texts()]).encode())
    assert not codes(version) - {""}


def test_rows_that_straddle_the_split_are_dropped_from_its_earlier_part(mended):
    again = [line.replace(",train", ",test").upper().replace("DELIVERY", "delivery")
             .replace("PAYMENT", "payment").replace("TEST", "test")
             for line in texts() if line.endswith("train")][:6]  # fmt: skip
    before, after = mended([HEAD, *texts(), *again], "split_leak")
    assert "6 rows stand" in str(before.profile["warnings"])
    assert after.rows == 120


def test_rare_labels_are_merged_or_dropped(mended, bring_in):
    rare = [f"something odd {n} here,{'odd' if n % 2 else 'queer'},train" for n in range(12)]
    many = [
        f"{line.rsplit(',', 2)[0]} again {n},payment,train" for n in range(9) for line in texts()
    ]
    lines = [HEAD, *texts(), *many, *rare]
    _, merged, dropped = mended(lines, "rare_labels")
    balance = {one["label"]: one["count"] for one in merged.profile["class_balance"]}
    assert balance["other"] == 12
    assert set(balance) == {"payment", "delivery", "other"}
    assert dropped.rows == merged.rows - 12
    version = bring_in("\n".join([HEAD, *texts(), *rare[:3]]).encode())
    (found,) = (one for one in version.profile["warnings"] if one.get("code") == "rare_labels")
    assert found["fix"]["edits"][0]["op"] == "drop_rare"  # Merged they would be rare, too.


def test_one_label_far_more_frequent_than_others_is_cut(mended):
    many = [
        f"{line.rsplit(',', 2)[0]} again {n},payment,train" for n in range(9) for line in texts()
    ]
    lines = [HEAD, *texts(40), *many]
    before, after = mended(lines, "imbalance")
    assert before.profile["class_balance"][0]["count"] == 1100
    assert {one["label"]: one["count"] for one in after.profile["class_balance"]} == {
        "payment": 60,
        "delivery": 20,
    }


@pytest.mark.parametrize("kind", ["word", "number"])
def test_a_column_that_gives_the_target_away(mended, bring_in, kind):
    dice = random.Random(1)
    if kind == "word":
        lines = ["size,noise,code,grade"]
        lines += [f"{dice.random():.3f},{dice.randrange(4)},{'XYZ'[n % 3]},{'abc'[n % 3]}"
                  for n in range(90)]  # fmt: skip
    else:
        lines = ["size,noise,price_eur,price"]
        prices = [round(dice.uniform(50, 90), 2) for _ in range(90)]
        lines += [
            f"{dice.random():.3f},{dice.randrange(4)},{one * 1.1:.4f},{one}" for one in prices
        ]
    _, after = mended(lines, "giveaway")
    assert [column["name"] for column in after.columns] == ["size", "noise", lines[0].split(",")[3]]


def test_far_numbers_can_be_dropped_or_brought_in(mended):
    dice = random.Random(2)
    lines = ["a,b,kind", *(f"{dice.gauss(50, 5):.2f},{n % 7},{'xy'[n % 2]}" for n in range(100))]
    _, dropped, clipped = mended([*lines, "5000000,1,x", "-70000,2,y"], "outliers")
    assert (dropped.rows, clipped.rows) == (100, 102)


def test_texts_with_two_labels_get_one_or_are_left_out(mended):
    again = [line.replace("delivery", "payment").replace("my", "My", 1) for line in texts()[:9:2]]
    _, kept, dropped = mended([HEAD, *texts(), *again], "conflicting_labels")
    assert (kept.rows, dropped.rows) == (125, 115)


def test_near_duplicates_are_kept_once(mended):
    again = [line.replace("my", "MY -", 1) for line in texts()[:5]]
    _, after = mended([HEAD, *texts(), *again], "near_duplicates")
    assert after.rows == 120


def test_tags_are_stripped(mended):
    tagged = [line.replace("my", "<p>My<br/>", 1) for line in texts()[:30]]
    before, after = mended([HEAD, *tagged, *texts()[30:]], "html_tags")
    assert "stand in 30 of 120 cells of text" in str(before.profile["warnings"])
    assert after.rows == 120


@pytest.mark.parametrize(
    ("cell", "is_found"),
    [
        ("{n}.5 ± 0.2 mg", True),
        ("0.{n} (0.04)", True),
        ("48°{n}'10N", True),
        ("{n}-{n}-77", False),
        ("{n}a{n}", False),
        ("house {n}", False),
    ],
)
def test_quantities_that_stay_text_are_told(bring_in, cell, is_found):
    rows = (f"{cell.format(n=n + 10)},{'ab'[n % 2]},{n % 7}" for n in range(60))
    version = bring_in("\n".join(["measured,kind,x", *rows]).encode())
    assert ("written_quantities" in codes(version)) is is_found


def test_a_day_that_never_was_is_asked_about(read):
    days = ["0000-00-00" if n % 4 == 0 else f"2024-01-{n % 28 + 1:02}" for n in range(40)]
    lines = ["x,day,kind", *(f"x{n},{day},{'ab'[n % 2]}" for n, day in enumerate(days))]
    (question,) = read("\n".join(lines).encode()).questions
    assert (question["code"], question["column"]) == ("impossible_days", "day")
    assert [one["name"] for one in question["readings"]][0] == "text"
    name = question["readings"][1]["name"]
    found = read("\n".join(lines).encode(), columns={"day": name})
    assert [column.type for column in found.columns][1] == "date"


def test_repeated_pictures_are_dropped_whatever_their_names(bring_in):
    files = {f"{one}/{n}.png": content for (one, n), content in photos(6).items()}
    again = {name.replace("/", "/again-"): content for name, content in list(files.items())[:4]}
    version = bring_in(zipped(files | again), "photos.zip")
    place = next(
        place
        for place, one in enumerate(version.profile["warnings"])
        if "repeat" in one["sentence"]
    )
    after = apply_fix(version, place, None)
    import_version(after.pk)
    after.refresh_from_db()
    assert (version.rows, after.rows, after.profile["duplicates"]) == (22, 18, 0)


def drawing(seed, side=96):
    """A smooth picture of its own: waves whose direction and colour come of the seed."""
    dice = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    waves = sum(
        np.sin(2 * np.pi * (dice.uniform(-3, 3) * x + dice.uniform(-3, 3) * y + dice.random()))
        for _ in range(4)
    )
    pixels = 128 + 25 * waves[..., None] + dice.uniform(-30, 30, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def test_pictures_saved_again_are_found_and_dropped_from_the_earlier_split(bring_in):
    files = {}
    for n in range(24):
        part = "test" if n % 4 == 3 else "train"
        files[f"{part}/{'ab'[n % 2]}/{n}.png"] = encoded(drawing(n))
    for n in (3, 7):  # Of the test, once more in the training rows, smaller and as JPEG.
        files[f"train/b/again{n}.jpg"] = encoded(drawing(n).resize((70, 70)), "JPEG", quality=80)
    version = bring_in(zipped(files), "pictures.zip")
    found = [one for one in version.profile["warnings"] if one.get("code") == "near_pictures"]
    assert [one["sentence"].split(" nearly")[0] for one in found] == ["2 pictures are"]
    assert "two splits" in found[0]["advice"]
    after = apply_fix(version, version.profile["warnings"].index(found[0]), None)
    import_version(after.pk)
    after.refresh_from_db()
    page = load_rows(after, RowQuery(page_size=100))
    kept = [row.cells[list(page.columns).index("file")] for row in page.rows]
    assert len(kept) == 24
    assert not [file for file in kept if "again" in file]
    assert "near_pictures" not in codes(after)


def test_pictures_of_one_kind_are_not_taken_for_each_other(bring_in):
    version = bring_in(zipped({f"{one}/{n}.png": c for (one, n), c in photos(20).items()}), "p.zip")
    assert "near_pictures" not in codes(version)
