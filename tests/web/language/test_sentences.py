"""Sentences of code are translated where they are shown, with their values."""

import re

import pytest
from django.utils import translation
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe

from web.language.sentences import AsWritten, translated
from web.templatetags.language import language_word
from web.templatetags.ui import STATUS_TONES, status_badge


@pytest.fixture
def chinese():
    with translation.override("zh-hans"):
        yield


@pytest.mark.parametrize(
    ("english", "shown"),
    [
        ("Nothing was changed.", "未做任何更改。"),
        ("Training script 2 no longer works.", "Training script 2 已失效。"),
        ("Welcome to Acme & Söhne.", "欢迎加入 Acme & Söhne。"),
        ("Nothing was changed. Nobody waits.", "未做任何更改。没有人在等待。"),
        ("A line\nbreak no longer works.", "A line\nbreak 已失效。"),
        (
            "Only 23 test rows: the reported numbers are rough.",
            "只有 23 个测试行：报告的数值较粗略。",
        ),
        # A clause that may be absent.
        ("shapes.zip v1 is ready: 120 rows.", "shapes.zip v1 已就绪：120 行。"),
        ("52 to 72", "52 至 72"),
        ("24 h of run time", "24 小时运行时间"),
        (
            "The training reached its time limit of 1 h 30 min of run time.",
            "训练达到了 1 小时 30 分钟的运行时间限制。",
        ),
        (
            "Of billed run time. Empty: the most allowed, 24 h.",
            "按计费运行时间。留空：允许的最大值，24 小时。",
        ),
        ("no gpu worker has been seen for 3 days", "已有 3 天未见到 gpu 工作节点"),
        (
            "Root mean squared error 2.184; boosted trees at their defaults 2.421.",
            "均方根误差 2.184；默认设置的提升树 2.421。",
        ),
        (
            "On validation rows the network (64%) and boosted trees (36%) did best together: their"
            " weighted mean answers.",
            "在验证行上，神经网络（64%）和提升树（36%）一起表现最好：以它们的加权均值回答。",
        ),
        ("Started on node-7, attempt 3", "已在 node-7 上开始，第 3 次尝试"),
        (
            "Started on node-7, attempt 3, resuming from step 1,200",
            "已在 node-7 上开始，第 3 次尝试，从第 1,200 步继续",
        ),
        (
            "A step needs about 910 MiB; 1,400 MiB are free. Batches are computed in 4 pieces,"
            " one by one.",
            "一步约需 910 MiB；可用 1,400 MiB。批次分成 4 份逐一计算。",
        ),
    ],
)
def test_a_sentence_is_known_by_its_fixed_words(chinese, english, shown):
    assert translated(english) == shown


@pytest.mark.parametrize(
    "own", ["My parcel is late", "", "   ", "x" * 5000, "{name} no longer", "100%", "你好"]
)
def test_what_people_wrote_stays(chinese, own):
    assert translated(own) == own


def test_values_that_are_words_of_ours_are_translated_too(chinese):
    assert translated("Not deployed: This model cannot be served by this version.") == (
        "未部署：此版本无法部署此模型。"
    )


def test_what_is_safe_markup_or_english_stays(chinese):
    assert translated(mark_safe("Owner")) == "Owner"
    with translation.override("en"):
        assert translated("Owner") == "Owner"


@pytest.mark.parametrize("status", STATUS_TONES)
def test_every_badge_is_in_the_readers_language(chinese, status):
    assert not re.search("[A-Za-z]", re.sub("<[^>]*>", "", status_badge(status)))


@pytest.mark.parametrize(("code", "word"), [("en", "英文"), ("zh", "中文"), ("xx", "xx")])
def test_a_language_is_shown_by_its_name(chinese, code, word):
    assert language_word(code) == word


@pytest.mark.parametrize("column", ["topic", "status", "queue", "plan"])
def test_a_column_that_is_called_like_a_word_of_ours_keeps_its_name(chinese, column):
    sentence = translated(
        f"question is free text; {column} repeats 3 values over 96 rows: its name says so and it is"
        " the last column."
    )
    assert sentence.startswith("question 是自由文本；")
    assert f"{column} 在 96 行中重复 3 个值" in sentence


@pytest.mark.usefixtures("chinese")
def test_a_customers_own_words_stay_though_they_are_words_of_ours():
    assert translated("Label") != "Label"
    assert translated(AsWritten("Label")) == "Label"
    assert conditional_escape(translated(AsWritten("<b>"))) == "&lt;b&gt;"
