"""A rule as people read it, in their language."""

from collections.abc import Mapping
from typing import Any

from assistants.rules.shapes import EMAIL, ORDER_NUMBER, PHONE
from web.language.sentences import translated

CONDITIONS = {
    "says_any": "says one of {value}",
    "says_all": "says all of {value}",
    "looks_like": "holds {value}",
    "topic_is": "is most likely about {value}",
    "confidence_below": "is understood less surely than {value}",
    "confidence_above": "is understood more surely than {value}",
    "language": "is in the language {value}",
    "channel": "comes by the channel {value}",
    "turns_at_least": "comes after {value} or more messages",
    "visitor": "is of a visitor with {value}",
    "asked_again": "is asked again",
    "asks_for_person": "asks for a person",
}
HOURS = {"open": "comes within the opening hours", "closed": "comes outside the opening hours"}
ACTIONS = {
    "answer": "gives the answer {value}",
    "say": "says “{value}”",
    "hand_over": "hands over to a person",
    "refuse": "refuses",
    "tag": "tags the conversation {value} and goes on",
}
GROUP = "hands over to the group {value}"
ASKS = "asks “{value}” and, once {shape} is given, {what}"
SHAPE_NAMES = {ORDER_NUMBER: "an order number", EMAIL: "an e-mail address", PHONE: "a phone number"}
SHOWN = {"answer": "key", "say": "text", "tag": "tag", "hand_over": "group"}


def conditions_in_words(when: Mapping[str, Any]) -> list[str]:
    return [
        translated(HOURS[value])
        if name == "hours"
        else translated(CONDITIONS[name]).replace("{value}", _value(value, name))
        for name, value in when.items()
    ]


def action_in_words(then: Mapping[str, Any]) -> str:
    if then["do"] == "ask_for":
        asks = translated(ASKS).replace("{value}", then["text"])
        return asks.replace("{shape}", shape_in_words(then["shape"])).replace(
            "{what}", action_in_words(then["then"])
        )
    phrase = GROUP if then.get("group") else ACTIONS[then["do"]]
    return translated(phrase).replace("{value}", then.get(SHOWN.get(then["do"], ""), ""))


def shape_in_words(shape: str) -> str:
    return translated(SHAPE_NAMES.get(shape, shape))


def _value(value: Any, name: str) -> str:
    if name == "looks_like":
        return shape_in_words(value)
    if isinstance(value, list):
        return ", ".join(f"“{one}”" for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} = {one}" for name, one in value.items())
    return str(value)
