"""Bodies in and out, without an application around them."""

import json

import numpy as np
import pytest

from engine.artifact import Inputs, Target
from inference.serving.protocol import chat, classify
from inference.serving.protocol.classify_rows import read_rows
from inference.serving.protocol.errors import ApiError, too_many_requests

HELLO = [{"role": "user", "content": "Hello"}]


def parse_chat(**changes):
    body = {"model": "writer", "messages": HELLO} | changes
    return chat.parse_generation_request(json.dumps(body).encode(), is_chat=True)


def parse_completion(**changes):
    body = {"model": "writer", "prompt": "Hello"} | changes
    return chat.parse_generation_request(json.dumps(body).encode(), is_chat=False)


def parse_classify(**body):
    return classify.parse_classify_request(json.dumps({"model": "m"} | body).encode())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": ""}, "model must be the name of a deployment."),
        ({"model": None}, "model must be the name of a deployment."),
        ({"n": 0}, "n must be a whole number from 1 to 128."),
        ({"n": 129}, "n must be a whole number from 1 to 128."),
        ({"logit_bias": {"x": 1}}, "logit_bias must map token ids to numbers from -100 to 100."),
        ({"logit_bias": {"5": 101}}, "logit_bias must map token ids to numbers from -100 to 100."),
        ({"top_logprobs": 3}, "top_logprobs needs logprobs: true."),
        (
            {"logprobs": 3},
            "logprobs must be true or false in chats, and a whole number from 0 to 5 in"
            " completions.",
        ),
        ({"store": True}, "store is not supported here. Leave it out."),
        (
            {"modalities": ["text", "audio"]},
            "modalities must be ['text']: models here write text.",
        ),
        ({"temperature": True}, "temperature must be a number from 0 to 2."),
        ({"temperature": "1"}, "temperature must be a number from 0 to 2."),
        ({"temperature": float("nan")}, "temperature must be a number from 0 to 2."),
        ({"temperature": float("inf")}, "temperature must be a number from 0 to 2."),
        ({"top_p": 1.01}, "top_p must be a number from 0 to 1."),
        ({"max_tokens": 5.0}, "max_tokens must be a whole number from 1 to 2,147,483,648."),
        ({"max_tokens": True}, "max_tokens must be a whole number from 1 to 2,147,483,648."),
        (
            {"max_completion_tokens": 0},
            "max_completion_tokens must be a whole number from 1 to 2,147,483,648.",
        ),
        ({"stop": ["x"] * 5}, "stop must be a text, or up to 4 of them."),
        ({"stop": ""}, "stop must be a text, or up to 4 of them."),
        ({"stop": "x" * 101}, "stop must be a text, or up to 4 of them."),
        ({"stop": [1]}, "stop must be a text, or up to 4 of them."),
        (
            {"seed": 2**63},
            "seed must be a whole number from -9,223,372,036,854,775,808 to"
            " 9,223,372,036,854,775,807.",
        ),
        ({"presence_penalty": 2.1}, "presence_penalty must be a number from -2 to 2."),
        ({"response_format": {"type": "json"}}, chat.MESSAGES["response_format"]),
        ({"response_format": "json"}, chat.MESSAGES["response_format"]),
        ({"response_format": {"type": "json_schema"}}, chat.MESSAGES["response_format"]),
        ({"functions": [{}]}, "functions is not supported here. Leave it out."),
        ({"stream": "false"}, "stream must be true or false."),
        ({"stream": 1}, "stream must be true or false."),
    ],
)
def test_a_bad_parameter_is_named_with_what_it_must_be(changes, sentence):
    with pytest.raises(ApiError) as caught:
        parse_chat(**changes)
    (name,) = changes
    assert (caught.value.status, caught.value.param) == (400, name)
    assert caught.value.sentence == sentence


def test_the_older_form_of_tool_messages_is_named():
    with pytest.raises(ApiError) as caught:
        parse_chat(messages=[*HELLO, {"role": "function", "name": "clock", "content": "12:00"}])
    assert (caught.value.status, caught.value.param) == (400, "messages[1].role")
    assert "send 'tool' instead" in caught.value.sentence


def test_null_means_the_default():
    names = ("n", "temperature", "top_p", "max_tokens", "stop", "seed", "response_format", "tools")
    names += ("presence_penalty", "frequency_penalty", "max_completion_tokens", "stream_options")
    assert parse_chat(**dict.fromkeys(names)) == parse_chat()
    sampling = parse_chat().sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (1.0, 1.0, None)


def test_only_chats_know_the_newer_name_of_the_token_limit():
    assert parse_chat(max_tokens=5, max_completion_tokens=7).sampling.max_tokens == 7
    assert parse_chat(max_tokens="ignored", max_completion_tokens=7).sampling.max_tokens == 7
    assert parse_completion(max_tokens=5, max_completion_tokens=7).sampling.max_tokens == 5
    assert parse_completion().sampling.max_tokens == chat.DEFAULT_COMPLETION_TOKENS


def test_whole_numbers_are_numbers_and_one_stop_text_is_a_list_of_one():
    sampling = parse_chat(temperature=1, top_p=0, stop="end").sampling
    assert (sampling.temperature, sampling.top_p, sampling.stop) == (1.0, 0.0, ("end",))


@pytest.mark.parametrize(
    "prompt", ["", "  ", 5, None, ["a", " "], [], "\ud800", [[]], [True], [-1], [[1, "a"]], {}]
)
def test_a_prompt_must_be_text_or_token_ids(prompt):
    with pytest.raises(ApiError) as caught:
        parse_completion(prompt=prompt)
    assert caught.value.param == "prompt"


def test_a_prompt_in_a_list_of_one_is_that_prompt():
    assert parse_completion(prompt=["Hello"]).prompts == ["Hello"]
    assert parse_completion(prompt=["a", "b"]).prompts == ["a", "b"]
    assert parse_completion(prompt=[1, 2]).prompts == [[1, 2]]
    assert parse_completion(prompt=[[1, 2], [3]]).prompts == [[1, 2], [3]]


def test_a_picture_in_a_chat_is_refused_by_its_place():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    content = [{"type": "text", "text": "What is this?"}, picture]
    with pytest.raises(ApiError) as caught:
        parse_chat(messages=[{"role": "user", "content": content}])
    assert (caught.value.status, caught.value.param) == (400, "messages[0].content[1]")
    assert "image_url" in caught.value.sentence


def test_use_activation_false_asks_for_raw_numbers():
    assert parse_classify(input="x", use_activation=False).function == "none"
    assert parse_classify(input="x", use_activation=True).function is None
    with pytest.raises(ApiError) as caught:
        parse_classify(input="x", use_activation=1)
    assert caught.value.param == "use_activation"


@pytest.mark.parametrize("parameters", [0, [], "", "x"])
def test_parameters_must_be_an_object(parameters):
    with pytest.raises(ApiError) as caught:
        parse_classify(inputs="x", parameters=parameters)
    assert caught.value.sentence == "parameters must be an object."


@pytest.mark.parametrize("top_k", [0, -1, 1.5, True, "1"])
def test_top_k_must_be_a_whole_number(top_k):
    with pytest.raises(ApiError) as caught:
        parse_classify(inputs="x", parameters={"top_k": top_k})
    assert caught.value.sentence == "top_k must be a whole number from 1 on."
    assert caught.value.param == "parameters.top_k"


def test_the_model_may_stand_in_the_query_and_the_body_wins():
    body = json.dumps({"input": "x"}).encode()
    assert classify.parse_classify_request(body, "from-query").model == "from-query"
    body = json.dumps({"input": "x", "model": "from-body"}).encode()
    assert classify.parse_classify_request(body, "from-query").model == "from-body"


def test_pictures_may_be_data_urls():
    inputs = Inputs(kind="image", columns=["picture"])
    rows = ["data:image/png;base64,aGk=", "not base64!", "aGk="]
    read = read_rows(rows, inputs, "input", is_list=True)
    assert read.rows == {0: b"hi", 2: b"hi"}
    assert "picture as base64" in read.problems[1].sentence


def test_texts_of_several_columns_are_given_by_name():
    """Joined as in training: in the order of training, and blank ones left out."""
    inputs = Inputs(kind="text", columns=["subject", "body"], text_separator="\n")
    rows = [
        {"body": " b ", "subject": "s", "id": 7},
        {"body": "b", "subject": None},
        "plain",
        {"id": 7},
    ]
    read = read_rows(rows, inputs, "input", is_list=True)
    assert read.rows == {0: "s\nb", 1: "b", 2: "plain"}
    assert "none of the columns that the model reads: subject, body" in read.problems[3].sentence
    assert read.notes == ["The model does not read these fields, so they were ignored: id."]


@pytest.mark.parametrize(
    "row", [None, 5, ["a"], True, {"text": [1]}, {"text": {}}, "\ud800", {"text": "\udfff"}, {}]
)
@pytest.mark.parametrize("kind", ["text", "features", "image"])
def test_whatever_one_row_is_its_neighbours_are_read(row, kind):
    good: object = {"text": "aGk="} if kind == "features" else "aGk="
    read = read_rows([good, row, good], Inputs(kind=kind, columns=["text"]), "input", is_list=True)
    assert {0, 2} <= read.rows.keys()
    assert set(read.problems) == {1} or (kind, row) == ("features", {})
    assert all(problem.param.startswith("input[1]") for problem in read.problems.values())


LABEL = Target(kind="label", column="label")
LABELS = Target(kind="labels", column="labels", thresholds=[0.5, 0.2])
LOGITS = np.asarray([[2.0, -1.0], [-800.0, 800.0]], dtype=np.float32)


def test_scores_are_a_softmax_of_one_label_and_a_sigmoid_of_several():
    request = parse_classify(input=["a", "b"])
    softmax = classify.compute_scores(request, LABEL, LOGITS)
    assert softmax[0] == pytest.approx([1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))])
    assert softmax[1].tolist() == [0.0, 1.0]
    sigmoid = classify.compute_scores(request, LABELS, LOGITS)
    assert sigmoid[0] == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(1))])
    assert sigmoid[1].tolist() == [0.0, 1.0]


def test_a_number_is_scaled_back_to_its_unit():
    target = Target(kind="number", column="price", mean=100.0, deviation=10.0)
    outputs = np.asarray([[1.5]], dtype=np.float32)
    request = parse_classify(input="a")
    scores = classify.compute_scores(request, target, outputs)
    assert scores.tolist() == [[115.0]]
    assert classify.predicted_labels(
        classify.ClassifyResult(request, [], scores, target), [115.0]
    ) == ["115"]


def test_each_of_several_labels_has_a_threshold_of_its_own():
    result = classify.ClassifyResult(parse_classify(input="a"), ["x", "y"], np.zeros(1), LABELS)
    assert classify.predicted_labels(result, [0.49, 0.2]) == ["y"]
    assert classify.predicted_labels(result, [0.5, 0.19]) == ["x"]
    assert classify.predicted_labels(result, [0.1, 0.1]) == []


def test_equal_scores_keep_the_order_of_the_labels():
    ranked = classify.rank_labels(["a", "b", "c"], [0.2, 0.6, 0.2])
    assert [one["label"] for one in ranked] == ["b", "a", "c"]


def test_a_number_that_is_not_finite_is_our_fault():
    with pytest.raises(ArithmeticError):
        classify.round_scores(np.asarray([[np.nan]]))


def test_a_wait_is_never_rounded_to_zero():
    headers = too_many_requests(0.0001).headers
    assert headers == {"retry-after": "1", "retry-after-ms": "1"}
