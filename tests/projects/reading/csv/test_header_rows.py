"""Names or data: what the first line of a table is, for numbers as names and sentences as data."""

import pytest

from projects.reading.csv.header_rows import judge_header

WORDS = ["north", "south", "east", "west"]


def judge(table):
    first, *rest = [line.split(",") for line in table.strip().splitlines()]
    return judge_header(first, rest)


def below(header, row, rows=12):
    return "\n".join([header, *(row(n) for n in range(rows))])


NAMES = {
    "two years": "country,2019,2020\nPeru,5,6\nChile,7,8",
    "years beside classes": below(
        "country,region,2019,2020,2021", lambda n: f"C{n},{WORDS[n % 4]},{n * 7 % 50},{n},{n * 3}"
    ),
    "pandas": below("0,1,2,label", lambda n: f"{n * 7 % 9},{n},{n * 2},{WORDS[n % 4]}"),
    "survey": below("respondent,1,2,3,happy", lambda n: f"R{n},{n % 5},3,{n % 4},{'yn'[n % 2]}"),
    "one number among names": below(
        "a,b,c,d,1", lambda n: f"{n},{n * 2},{n * 3},{n + 5},{n % 2}", rows=20
    ),
    "words": below("text,label", lambda n: f"some words number {n},{WORDS[n % 4]}"),
    "a name that is a value below": below(
        "day,rented,hour,Holiday",
        lambda n: f"{n},{n * 7},{n % 24},{'Holiday' if n % 3 else 'No Holiday'}",
    ),
    "repeated header": "\n".join([below("kind,n", lambda n: f"x{n},{n}", 6)] * 3),
    "a class named like the column once": below(
        "name,kind,size", lambda n: f"n{n},{WORDS[n % 4]},{n}"
    ),
}
DATA = {
    "numbers": below("1,5.5,3", lambda n: f"{n},{n}.5,{n}"),
    "recurring label": below("how do I reset my card please,card", lambda n: (
        f"how do I reset my thing number {n} please,{['card', 'pin', 'app'][n % 3]}"
    )),
    "rare recurring label": below("how do I reset my card please now,l7", lambda n: (
        f"how do I reset my thing number {n} please,l{n % 36}"
    ), rows=140),
    "survey answers": below(
        "R0,3,5,3,no", lambda n: f"R{n},{n % 5},3,{n % 4},{['no', 'yes'][n % 2]}"
    ),
    "rows that count up": below("1,2,3", lambda n: f"{n},{n + 1},{n + 2}"),
    "missing words above numbers": below("NA,-,7", lambda n: f"{n},{n},{n}"),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_names_are_recognised(case):
    assert judge(NAMES[case]).is_header


@pytest.mark.parametrize("case", DATA)
def test_data_is_recognised_and_said_why(case):
    verdict = judge(DATA[case])
    assert not verdict.is_header
    assert "first line" in verdict.reason


@pytest.mark.parametrize(
    "table",
    [
        below("where is my card please tell me,card", lambda n: f"where is my item {n} now,w{n}"),
        below("a,b,7", lambda n: f"{n},{n},{n}"),
        NAMES["survey"],
    ],
)  # fmt: skip
def test_what_can_be_either_is_doubtful(table):
    assert judge(table).is_doubtful


@pytest.mark.parametrize(
    "case", ["two years", "years beside classes", "words", "a name that is a value below"]
)
def test_what_is_plain_is_not_asked(case):
    assert not judge(NAMES[case]).is_doubtful
