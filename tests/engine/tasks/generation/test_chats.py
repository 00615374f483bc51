"""Chats from rows: both forms of columns, problems counted by kind, and datasets refused."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import BadTrainingData
from engine.spec import parse_spec
from engine.tasks.generation.chats import read_chats
from engine.tasks.generation.messages import (
    InvalidChat,
    parse_chat,
    prompt_messages,
    trim_after_last_answer,
)


def read(tmp_path, columns, **changes):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(columns), path)
    spec = {"task": "text-generation", "data": path, "output": "o", "work": "w"}
    return read_chats(parse_spec(spec | changes))


def turns(*texts, system=""):
    roles = ["user", "assistant"] * len(texts)
    first = [{"role": "system", "content": system}] if system else []
    return first + [
        {"role": role, "content": text} for role, text in zip(roles, texts, strict=False)
    ]


def messages(rows=12):
    return [json.dumps(turns(f"question {row}", f"answer {row}")) for row in range(rows)]


def test_prompts_and_completions_become_chats(tmp_path):
    columns = {
        "title": [f"title {row}" for row in range(12)],
        "body": [f"body {row}" for row in range(12)],
        "reply": [f"reply {row}" for row in range(12)],
    }
    chats = read(tmp_path, columns, prompt_columns=["title", "body"], completion_column="reply")
    assert chats.chats[3] == turns("title 3\nbody 3", "reply 3")
    assert chats.rows == list(range(12))
    assert chats.warnings == []
    assert chats.split_values is None


@pytest.mark.parametrize(
    ("prompt", "before"),
    [
        ("\n\nHuman: question {}\n\nAssistant:", ()),
        ("User: hi\nBot: hello\nUser: question {}\nBot:", ("hi", "hello")),
        ("### Human: hi### Assistant: hello### Human: question {}### Assistant:", ("hi", "hello")),
    ],
)
def test_prompts_that_are_written_as_chats_are_learnt_as_turns(tmp_path, prompt, before):
    columns = {
        "prompt": [prompt.format(row) for row in range(12)],
        "completion": [f" answer {row}" for row in range(12)],
    }
    chats = read(tmp_path, columns, prompt_columns=["prompt"], completion_column="completion")
    assert chats.chats[3] == turns(*before, "question 3", "answer 3")
    assert len(chats.warnings) == 1
    assert "learnt as turns" in chats.warnings[0]


def test_a_prompt_that_quotes_a_chat_stays_one_text(tmp_path):
    quoted = "Human: hi\n\nAssistant:"
    columns = {
        "prompt": [quoted, *(f"question {row}" for row in range(11))],
        "completion": [f"answer {row}" for row in range(12)],
    }
    chats = read(tmp_path, columns, prompt_columns=["prompt"], completion_column="completion")
    assert chats.chats[0] == turns(quoted, "answer 0")
    assert chats.warnings == []


def test_messages_are_read_from_json_and_their_rows_are_kept(tmp_path):
    rows = messages()
    rows[4] = "{"
    chats = read(
        tmp_path,
        {"messages": rows, "part": ["train"] * 6 + ["test"] * 6},
        messages_column="messages",
        split={"column": "part"},
    )
    assert chats.rows == [0, 1, 2, 3, *range(5, 12)]
    assert chats.chats[4] == turns("question 5", "answer 5")
    assert chats.split_values == ["train"] * 5 + ["test"] * 6


def test_problems_are_counted_by_kind_the_commonest_first(tmp_path):
    rows = messages(20)
    rows[2], rows[5], rows[9] = "{", json.dumps(turns("only asked")), "["
    rows[11] = json.dumps(turns("asked", "answered", "asked again"))
    chats = read(tmp_path, {"m": rows}, messages_column="m")
    assert chats.warnings == [
        "2 rows skipped, first row 3: the chat is not valid JSON.",
        "1 row skipped, first row 6: the chat has no answer (no message of the role assistant).",
        "1 chat goes on after its last answer: that end is left out.",
    ]
    assert chats.chats[-9:][0] == turns("asked", "answered")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (messages(9), "Only 9 rows hold an answer to learn from; at least 10 are needed"),
        ([*messages(10), *["{"] * 10], "Row 11: the chat is not valid JSON. 10 of 20 rows"),
        (["{"] * 30, "Row 1: the chat is not valid JSON. 30 of 30 rows"),
    ],
)
def test_datasets_of_too_few_chats_are_refused_naming_the_first_bad_row(tmp_path, rows, sentence):
    with pytest.raises(BadTrainingData, match=sentence):
        read(tmp_path, {"m": rows}, messages_column="m")


@pytest.mark.parametrize(
    ("value", "chat"),
    [
        ({"messages": turns("a", "b")}, turns("a", "b")),
        (json.dumps({"conversations": turns("a", "b")}), turns("a", "b")),
        ([{"from": "human", "value": " a "}, {"from": "gpt", "value": "b"}], turns("a", "b")),
        (
            [{"role": "user", "content": [{"type": "text", "text": "x"}, {"text": "y"}]}],
            turns("x\ny"),
        ),
        ([["a", "b"], ["c", "d"]], turns("a", "b", "c", "d")),
        ([{"human": "a", "assistant": "b"}], turns("a", "b")),
        ([{"role": "Prompter", "content": "a"}, {"role": "AI", "content": "b"}], turns("a", "b")),
        ("### Human: a\n### Assistant: b\nc", turns("a", "b\nc")),
        ("\n\nHuman: a\n\nAssistant: b", turns("a", "b")),
        ("<|user|>: a\n<|assistant|>: b", turns("a", "b")),
        (
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb\nc<|im_end|>\n",
            turns("a", "b\nc"),
        ),
        (
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\ns<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nb\n<c><|eot_id|>",
            turns("a", "b\n<c>", system="s"),
        ),
        ("<bos><start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb", turns("a", "b")),
        ("<s>[INST] <<SYS>>s<</SYS>> a [/INST] b</s>", turns("a", "b", system="s")),
        ("[SYSTEM_PROMPT]s[/SYSTEM_PROMPT][INST]a[/INST]b</s>", turns("a", "b", system="s")),
        ("### Human: a### Assistant: b### Human: c### Assistant: d", turns("a", "b", "c", "d")),
        ("USER: a ASSISTANT: b</s>USER: c ASSISTANT: d</s>", turns("a", "b", "c", "d")),
        ("A chat between two. USER: a ASSISTANT: b", turns("a", "b", system="A chat between two.")),
        ("<|system|>\ns</s>\n<|user|>\na</s>\n<|assistant|>\nb</s>", turns("a", "b", system="s")),
        ("<|prompter|>a<|endoftext|><|assistant|>b<|endoftext|>", turns("a", "b")),
        (
            "<｜begin▁of▁sentence｜>s<｜User｜>a<｜Assistant｜>b<｜end▁of▁sentence｜>",
            turns("a", "b", system="s"),
        ),
        (
            "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>a<|END_OF_TURN_TOKEN|>"
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>b<|END_OF_TURN_TOKEN|>",
            turns("a", "b"),
        ),
        (
            "### Instruction:\na\n\n### Response:\nb\n\n### Instruction:\nc\n\n### Response:\nd",
            turns("a", "b", "c", "d"),
        ),
        (
            [
                {"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"text": "b"}]},
            ],
            turns("a", "b"),
        ),
        ([{"role": "用户", "content": "a"}, {"role": "助手", "content": "b"}], turns("a", "b")),
    ],
)
def test_other_forms_of_the_same_chat_are_read_alike(value, chat):
    assert parse_chat(value) == chat


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "holds no list of messages"),
        (3, "holds no list of messages"),
        ({"messages": []}, "holds no list of messages"),
        (["text"], "something else than an object as message 1"),
        ([{"role": "tool", "content": "12"}], "role 'tool' .message 1.; tools cannot be learnt"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            "a part of the type 'image_url' in message 1; only text",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "file"}]}],
            "a part of the type 'file' in message 1",
        ),
        ([{"content": "x"}], "names the role 'None' in message 1"),
        ([{"role": "r" * 99, "content": "x"}], "names the role 'r{60}' in message 1; it must be"),
        ([{"role": "user", "content": {"text": "x"}}], "empty user message"),
        ([{"role": "user", "content": "x", "function_call": {}}], None),
        ([{"role": "user", "content": "x", "tool_calls": [{}]}], "calls a tool in message 1"),
    ],
)
def test_what_is_no_chat_is_told_in_words(value, problem):
    if problem is None:  # An empty call is none.
        assert parse_chat(value) == turns("x")
        return
    with pytest.raises(InvalidChat, match=problem):
        parse_chat(value)


def test_a_prompt_is_the_chat_before_its_last_answer():
    chat = turns("a", "b", "c", "d", "e")
    trimmed = trim_after_last_answer(chat)
    assert trimmed == turns("a", "b", "c", "d")
    assert prompt_messages(trimmed) == turns("a", "b", "c")


def answered(*weights):
    chat = turns(*["x"] * 2 * len(weights))
    for message, weight in zip(chat[1::2], weights, strict=True):
        if weight is not None:
            message["weight"] = weight
    return chat


def test_an_answer_of_weight_zero_is_kept_but_not_the_last_to_learn(tmp_path):
    rows = [json.dumps(answered(0, 1, 0)) for _ in range(12)]
    chats = read(tmp_path, {"m": rows}, messages_column="m")
    assert [message.get("weight") for message in chats.chats[0]] == [None, 0, None, 1]
    assert "12 chats go on after their last answer" in chats.warnings[0]


def test_chats_with_nothing_to_learn_are_refused(tmp_path):
    rows = [json.dumps(answered(0, 0)) for _ in range(24)]
    with pytest.raises(BadTrainingData, match="Row 1: the chat gives every answer the weight 0"):
        read(tmp_path, {"m": rows}, messages_column="m")
    mixed = [*rows[:3], *messages(20)]
    chats = read(tmp_path, {"m": mixed}, messages_column="m")
    assert chats.warnings[0].startswith("3 rows skipped, first row 1: the chat gives every answer")


@pytest.mark.parametrize("weight", ["1", 0.5, 2, -1, True, [1]])
def test_a_weight_that_means_nothing_stops_the_whole_file_with_its_row(tmp_path, weight):
    rows = messages(20)
    rows[16] = json.dumps(answered(1, weight))
    with pytest.raises(BadTrainingData, match="Row 17: the chat gives message 4 the weight"):
        read(tmp_path, {"m": rows}, messages_column="m")


def test_system_and_history_come_before_the_prompt(tmp_path):
    columns = {
        "q": [f"and {n}?" for n in range(12)],
        "a": [f"answer {n}" for n in range(12)],
        "system": ["Be brief.", None] * 6,
        "history": [json.dumps([["lime?", "green"]]), "[]", None, ""] * 3,
    }
    pair = {"prompt_columns": ["q"], "completion_column": "a"}
    chats = read(tmp_path, columns, **pair, system_column="system", history_column="history")
    said = [{"role": "system", "content": "Be brief."}]
    assert chats.chats[0] == [*said, *turns("lime?", "green", "and 0?", "answer 0")]
    assert chats.chats[1] == turns("and 1?", "answer 1")
    assert chats.chats[2] == [*said, *turns("and 2?", "answer 2")]
    left_out = read(tmp_path, columns, **pair).warnings
    assert [warning.split(".")[0] for warning in left_out] == [
        "Column system is left out", "Column history is left out",
    ]  # fmt: skip


def test_tools_and_pictures_beside_the_messages_are_refused_by_name(tmp_path):
    columns = {"messages": messages(24), "tools": ['[{"type": "function"}]'] * 24}
    with pytest.raises(BadTrainingData, match="comes with tools in column 'tools'"):
        read(tmp_path, columns, messages_column="messages")
    few = {"messages": messages(24), "images": [["a.png"], *[[]] * 23]}
    chats = read(tmp_path, few, messages_column="messages")
    assert chats.warnings == [
        "1 row skipped, first row 1: the chat comes with pictures in column 'images', which"
        " cannot be learnt."
    ]


def test_prompts_and_answers_may_be_lists_of_messages(tmp_path):
    asked = [json.dumps(turns(f"q {n}", "a", "and then?")) for n in range(12)]
    better = [json.dumps([{"role": "assistant", "content": f"b {n}"}]) for n in range(12)]
    chats = read(
        tmp_path, {"p": asked, "chosen": better}, prompt_columns=["p"], completion_column="chosen"
    )
    assert chats.chats[1] == turns("q 1", "a", "and then?", "b 1")
