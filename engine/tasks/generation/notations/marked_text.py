"""Reads chats that are written out as one text with marked turns: by the templates of models
(ChatML, Llama, Gemma, Mistral, Zephyr, Phi, DeepSeek, Command), by Alpaca's headings, or by names
such as "### Human:" and "USER:". Needs no torch."""

import re
from typing import TypedDict


class WrittenTurn(TypedDict):
    """A turn as it is written; its role may be any word."""

    role: str
    content: str


# How the roles are called in texts, in lower case; other words are refused later, by name.
_USERS = frozenset({"user", "human", "prompter", "instruction", "question"})
_ASSISTANTS = frozenset({
    "assistant", "gpt", "bot", "ai", "model", "chatbot", "response", "answer", "output",
})  # fmt: skip
_ROLES = {**dict.fromkeys(_USERS, "user"), **dict.fromkeys(_ASSISTANTS, "assistant")}
# Marks that begin a turn in a model's template, each with its role.
_HEADER = re.compile(
    r"<\|im_start\|>[ ]*(\w+)[ \t]*\n"  # ChatML, Qwen
    r"|<\|start_header_id\|>(\w+)<\|end_header_id\|>"  # Llama 3
    r"|<\|header_start\|>(\w+)<\|header_end\|>"  # Llama 4
    r"|<start_of_turn>(\w+)\n"  # Gemma
    r"|<\|(system|user|assistant|prompter|human|bot|tool)\|>(?!\s?:)"  # Zephyr, Phi, OpenAssistant
    r"|<[|｜](System|User|Assistant)[|｜]>(?!\s?:)"  # DeepSeek
    r"|<\|START_OF_TURN_TOKEN\|><\|(SYSTEM|USER|CHATBOT)_TOKEN\|>"  # Command
)
_BEGIN = r"(?:\s|<s>|<bos>|<BOS_TOKEN>|<\|begin_of_text\|>|<[|｜]begin[_▁]of[_▁]sentence[|｜]>)*"
_END = (
    r"(?:\s|</s>|<eos>|<\|im_end\|>|<\|eot_id\|>|<\|eot\|>|<\|eom_id\|>|<\|end_of_text\|>|<\|end\|>"
    r"|<end_of_turn>|<\|endoftext\|>|<\|END_OF_TURN_TOKEN\|>|<[|｜]end[_▁]of[_▁]sentence[|｜]>)*"
)
_AROUND = re.compile(rf"\A{_BEGIN}|{_END}\Z")
_INST = re.compile(
    r"\[INST\]\s*(?:<<SYS>>(.*?)<</SYS>>)?(.*?)\[/INST\](.*?)(?=</s>|<s>|\[INST\]|\Z)", re.DOTALL
)
_MISTRAL_SYSTEM = re.compile(r"\[SYSTEM_PROMPT\](.*?)\[/SYSTEM_PROMPT\]\s*(?=\[INST\])", re.DOTALL)
_NAMES = "human|user|prompter|assistant|gpt|bot|ai|system"
# Alpaca's and others' headings, which may stand within a line, as in Guanaco's texts.
_HEADING = re.compile(
    rf"#{{2,3}}[ ]*({_NAMES}|instruction|question|response|answer|output)[ ]*:", re.IGNORECASE
)
_NAMED_LINE = re.compile(
    rf"^[ \t]*(?:<\|?)?({_NAMES})\|?>?\s*:[ \t]*", re.IGNORECASE | re.MULTILINE
)
_VICUNA = re.compile(r"(?:\A|(?<=\s)|(?<=</s>))(USER|ASSISTANT|SYSTEM):[ ]?")
_ALPACA_PREFACE = re.compile(r"\A\s*(?:Below is an instruction|A chat between|You are)")


def parse_marked_text(text: str) -> list[WrittenTurn]:
    """The turns of a text that begins with a marked turn, or with a preface for the system, and in
    which both sides speak; else none."""
    for parse in (_parse_inst, _parse_headers, _parse_headings, _parse_lines, _parse_vicuna):
        turns = [turn for turn in parse(text) if turn["content"] or turn["role"] != "system"]
        if {"user", "assistant"} <= {turn["role"] for turn in turns}:
            return turns
    return []


def _parse_inst(text: str) -> list[WrittenTurn]:
    """The turns between [INST] and [/INST], of Llama 2 and Mistral."""
    begun = _without_ends(text)
    system = _MISTRAL_SYSTEM.match(begun)
    if not (system or begun.startswith("[INST]")):
        return []
    turns = [_turn("system", system[1])] if system else []
    for found in _INST.finditer(text):
        turns += [
            _turn("system", found[1] or ""), _turn("user", found[2]), _turn("assistant", found[3]),
        ]  # fmt: skip
    return turns


def _parse_headers(text: str) -> list[WrittenTurn]:
    return _split(text, _HEADER, takes_preface="｜" in text or "<|User|>" in text)


def _parse_headings(text: str) -> list[WrittenTurn]:
    return _split(text, _HEADING, takes_preface=_ALPACA_PREFACE.match(text) is not None)


def _parse_lines(text: str) -> list[WrittenTurn]:
    return _split(text, _NAMED_LINE, takes_preface=False)


def _parse_vicuna(text: str) -> list[WrittenTurn]:
    return _split(text, _VICUNA, takes_preface=True)


def _split(text: str, mark: re.Pattern[str], *, takes_preface: bool) -> list[WrittenTurn]:
    """The texts behind each mark. `takes_preface`: what stands before the first is the system's."""
    marks = _of_one_naming(list(mark.finditer(text)))
    preface = _without_ends(text[: marks[0].start()]) if marks else ""
    if not marks or (preface and not takes_preface):
        return []
    ends = [found.start() for found in marks[1:]] + [len(text)]
    turns = [
        _turn(_name(found), text[found.end() : end]) for found, end in zip(marks, ends, strict=True)
    ]
    return [_turn("system", preface), *turns]


def _of_one_naming(marks: list[re.Match[str]]) -> list[re.Match[str]]:
    """The marks with the names that the first turn of each side has: "### Answer:" within an
    answer of "### Assistant:" is a heading."""
    first_names: dict[str, str] = {}
    for found in marks:
        first_names.setdefault(_ROLES.get(_name(found), _name(found)), _name(found))
    return [found for found in marks if _name(found) in first_names.values()]


def _name(found: re.Match[str]) -> str:
    return str(next(filter(None, found.groups()))).casefold()


def _turn(role: str, content: str) -> WrittenTurn:
    return {"role": _ROLES.get(role, role), "content": _without_ends(content)}


def _without_ends(text: str) -> str:
    return _AROUND.sub("", text)
