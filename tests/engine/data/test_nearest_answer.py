"""Looking a question up among known ones, in any script."""

from engine.data.nearest_answer import find_nearest

KNOWN = ["How do I reset my password?", "Where is my parcel?", "怎么退货", "发票在哪里开"]


def test_the_nearest_question_is_found_in_any_script():
    asked = [
        "i forgot the password, how to reset it",
        "my parcel is not here",
        "退货怎么弄",
        "开发票",
    ]
    assert find_nearest(KNOWN, asked) == [0, 1, 2, 3]


def test_where_nothing_is_known_nothing_is_near():
    assert find_nearest([], ["a"]) is None
    assert find_nearest(["", " "], ["a"]) is None
