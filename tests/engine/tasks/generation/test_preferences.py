"""Learning which of two answers is preferred: rows, the loss, and a whole job."""

import json
import math

import pytest
import torch

from engine.errors import BadTrainingData
from engine.tasks.generation import preferences
from engine.tasks.generation.chats import read_chats
from tests.engine.tasks.generation.test_generation import (  # noqa: F401
    COLOURS,
    language_model,
    run,
    same_worker,
    write,
)

THINGS = list(COLOURS)


def openai_columns(rows=60):
    """The three columns that a preference file in OpenAI's form becomes."""
    asked, good, bad = [], [], []
    for row in range(rows):
        thing = THINGS[row % len(THINGS)]
        question = {"role": "user", "content": f"What colour is {thing} {row}?"}
        asked.append(json.dumps({"messages": [question], "tools": []}))
        good.append(json.dumps([{"role": "assistant", "content": f"It is {COLOURS[thing]}."}]))
        bad.append(json.dumps([{"role": "assistant", "content": f"Who knows {thing}?"}]))
    return {"input": asked, "preferred_output": good, "non_preferred_output": bad}


CHOSEN = {
    "prompt_columns": ["input"],
    "completion_column": "preferred_output",
    "rejected_column": "non_preferred_output",
}


def test_the_loss_is_that_of_the_paper():
    policy, reference, beta = [[-3.0, -5.0], [-9.0, -2.0]], [[-4.0, -4.5], [-8.0, -2.5]], 0.3
    loss = preferences.preference_loss(torch.tensor(policy), torch.tensor(reference), beta)
    for pair, (ours, base) in enumerate(zip(policy, reference, strict=True)):
        gain = beta * ((ours[0] - base[0]) - (ours[1] - base[1]))
        assert float(loss[pair]) == pytest.approx(math.log(1 + math.exp(-gain)), rel=1e-6)


def test_pairs_are_read_and_only_the_last_answer_counts(tmp_path):
    columns = openai_columns(12)
    history = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "And now?"},
    ]
    columns["input"][0] = json.dumps({"messages": history})
    columns["non_preferred_output"][1] = columns["preferred_output"][1]
    chats = read_chats(write(tmp_path, columns, **CHOSEN))
    assert [one.get("weight") for one in chats.chats[0]] == [None, 0, None, 1]
    assert chats.rejected[0][-1]["content"] == "Who knows apple?"
    assert chats.rejected[0][:-1] == chats.chats[0][:-1]
    assert chats.rows == [0, *range(2, 12)]
    assert "same answer as preferred and as rejected" in chats.warnings[0]


def test_whole_chats_may_stand_for_their_last_answers(tmp_path):
    asked = {"role": "user", "content": "Which?"}

    def column(word):
        return [
            json.dumps([asked, {"role": "assistant", "content": f"{word} {row}"}])
            for row in range(12)
        ]

    columns = {"chosen": column("this"), "rejected": column("that")}
    spec = write(
        tmp_path,
        columns,
        prompt_columns=[],
        completion_column=None,
        messages_column="chosen",
        rejected_column="rejected",
    )
    chats = read_chats(spec)
    assert (chats.chats[3][-1]["content"], chats.rejected[3][-1]["content"]) == ("this 3", "that 3")


def test_whole_chats_may_be_texts_with_marked_turns(tmp_path):
    columns = {
        name: [f"Human: Which {row}?\n\nAssistant: {name} {row}" for row in range(12)]
        for name in ("chosen", "rejected")
    }
    chosen = {"prompt_columns": [], "completion_column": None, "messages_column": "chosen"}
    chats = read_chats(write(tmp_path, columns, rejected_column="rejected", **chosen))
    assert [one["content"] for one in chats.rejected[3]] == ["Which 3?", "rejected 3"]


def test_tools_in_a_preference_are_refused(tmp_path):
    columns = openai_columns(12)
    columns["input"] = [
        json.dumps(json.loads(one) | {"tools": [{"type": "function"}]}) for one in columns["input"]
    ]
    with pytest.raises(BadTrainingData, match="tools"):
        read_chats(write(tmp_path, columns, **CHOSEN))


@same_worker
def test_a_job_learns_to_prefer(tmp_path):
    hyperparameters = {"epochs": 2, "learning_rate": 0.03, "beta": 0.5, "generated_rows": 4}
    spec = write(tmp_path, openai_columns(), hyperparameters=hyperparameters, **CHOSEN)
    events = run(spec)
    measured = {}
    for event in events:
        if event.event == "metric":
            measured.setdefault(event.name, []).append(event.value)
    assert measured["validation_loss"][-1] < math.log(2)
    assert measured["validation_preference_accuracy"][-1] > 0.9
    report = json.loads((spec.output / "report.json").read_text())
    assert "test pairs the preferred answer gained" in report["headline"]
