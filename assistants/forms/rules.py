"""The form of a rule: every condition and every action that there is."""

from typing import Any

from django import forms

from assistants.forms.assistants import lines_of
from assistants.models import Answer, Assistant, Channel, Rule
from assistants.rules.shapes import NAMED
from assistants.rules.wording import SHAPE_NAMES
from web.language.sentences import lazy_choices

VALUES = {"answer": "key", "say": "text", "tag": "tag", "hand_over": "group", "ask_for": "text"}
ACTIONS = [
    ("answer", "give the answer with this key"),
    ("say", "say this text"),
    ("hand_over", "hand over to a person"),
    ("refuse", "refuse"),
    ("tag", "tag the conversation and go on"),
]
DRAWN = "drawn"
SHAPES = [("", "nothing"), *SHAPE_NAMES.items(), (DRAWN, "something I draw")]
DRAWN_HELP = "# is a digit, ? a letter, all else itself: AB-###### or ORD ????##."
PLACEHOLDER_HELP = (
    "In a text, {name} is the assistant, {hours} the opening hours, {captured} what was given."
)
NEVER_SHOWN = ("asks_for_person",)  # The built-in rule has it; a program's rule keeps it.


class RuleForm(forms.Form):
    """All conditions that are filled in must hold. A rule of a program's own is changed as well."""

    name = forms.CharField(max_length=80)
    says_any = forms.CharField(
        max_length=2000,
        required=False,
        label="When a question says any of",
        help_text="One phrase on each line.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    says_all = forms.CharField(
        max_length=2000,
        required=False,
        label="When it says all of",
        help_text="One phrase on each line.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    topic_is = forms.MultipleChoiceField(
        required=False,
        label="When it is most likely about",
        help_text="Answers by their key. The examples are tried with the newest version.",
    )
    looks_like = forms.ChoiceField(
        required=False, label="When it contains", choices=lazy_choices(SHAPES)
    )
    looks_like_drawn = forms.CharField(
        max_length=40, required=False, label="Pattern of your own", help_text=DRAWN_HELP
    )
    language = forms.ChoiceField(required=False, label="When it is in")
    channel = forms.ChoiceField(
        required=False,
        label="When it comes by",
        choices=lazy_choices(
            [
                ("", "any channel"),
                (Channel.Kind.WEB, "the widget"),
                (Channel.Kind.API, "the API"),
                (Channel.Kind.WECHAT, "WeChat"),
                (Channel.Kind.EMAIL, "e-mail"),
            ]
        ),
    )
    hours = forms.ChoiceField(
        required=False,
        label="When it comes",
        choices=lazy_choices(
            [
                ("", "at any time"),
                ("open", "within the opening hours"),
                ("closed", "outside the opening hours"),
            ]
        ),
    )
    turns_at_least = forms.IntegerField(
        min_value=1,
        max_value=100,
        required=False,
        label="When so many messages were exchanged",
    )
    confidence_below = forms.FloatField(
        min_value=0.01,
        max_value=1,
        required=False,
        label="When the assistant is less sure than",
        help_text="From 0 to 1.",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    confidence_above = forms.FloatField(
        min_value=0,
        max_value=0.99,
        required=False,
        label="When the assistant is surer than",
        help_text="From 0 to 1.",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    asked_again = forms.BooleanField(
        required=False, label="When it is asked again in the same conversation"
    )
    visitor = forms.CharField(
        max_length=2000,
        required=False,
        label="When the visitor has",
        help_text="On each line a name, an equals sign and a value. A program sends them as"
        " metadata, a site in its script tag, where they can be forged. With the line"
        " verified = true only what your server signed counts.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    do = forms.ChoiceField(
        label="Then",
        choices=lazy_choices([*ACTIONS, ("ask_for", "ask for something, keep it, and then …")]),
    )
    value = forms.CharField(
        max_length=2000,
        required=False,
        label="Key, text, tag, group, or what to ask",
        help_text=PLACEHOLDER_HELP,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    shape = forms.ChoiceField(
        required=False, label="It asks for", choices=lazy_choices(SHAPES), initial=""
    )
    shape_drawn = forms.CharField(
        max_length=40, required=False, label="Drawn like this", help_text=DRAWN_HELP
    )
    then_do = forms.ChoiceField(
        required=False, label="And once it is given", choices=lazy_choices(ACTIONS)
    )
    then_value = forms.CharField(
        max_length=2000,
        required=False,
        label="Its key, text, tag or group",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    examples_yes = forms.CharField(
        max_length=2000,
        label="Questions it applies to",
        help_text="One on each line.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    examples_no = forms.CharField(
        max_length=2000,
        required=False,
        label="Questions it does not apply to",
        help_text="One on each line.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, assistant: Assistant, data: Any = None, *, rule: Rule | None = None) -> None:
        super().__init__(data, initial=_fields_of(rule) if rule else None)
        self._kept = {name: rule.when[name] for name in NEVER_SHOWN if rule and name in rule.when}
        topics, languages = self.fields["topic_is"], self.fields["language"]
        assert isinstance(topics, forms.MultipleChoiceField)
        assert isinstance(languages, forms.ChoiceField)
        current = assistant.answers.exclude(state=Answer.State.RETIRED).order_by("key")
        topics.choices = [(key, key) for key in current.values_list("key", flat=True)]
        codes = [("en", "English"), ("zh", "Chinese")]
        codes += [(code, code) for code in assistant.languages if code not in ("en", "zh")]
        languages.choices = lazy_choices([("", "any language"), *codes])

    @property
    def groups(self) -> dict[str, list[forms.BoundField]]:
        """The fields below their headings."""
        when = ("says_any", "says_all", "topic_is", "looks_like", "looks_like_drawn")
        rare = ("language", "channel", "hours", "turns_at_least", "confidence_below",
                "confidence_above", "asked_again", "visitor")  # fmt: skip
        names = {
            "Conditions": when,
            "More conditions": rare,
            "What it does": ("do", "value"),
            "Where it asks for something": ("shape", "shape_drawn", "then_do", "then_value"),
            "Examples": ("examples_yes", "examples_no"),
        }
        return {heading: [self[name] for name in fields] for heading, fields in names.items()}

    @property
    def folded(self) -> dict[str, bool]:
        """Groups that few rules need, and whether they are open: something in them is given, or
        wrong."""
        groups = self.groups
        asks = self["do"].value() == "ask_for"
        return {
            "More conditions": any(
                field.errors or field.value() for field in groups["More conditions"]
            ),
            "Where it asks for something": asks,
        }

    def spec(self) -> dict[str, object]:
        """`name`, `when`, `then` and the examples, as the API takes them."""
        fields = self.cleaned_data
        when = {
            "says_any": lines_of(fields["says_any"]) or None,
            "says_all": lines_of(fields["says_all"]) or None,
            "topic_is": fields["topic_is"] or None,
            "looks_like": _shape(fields["looks_like"], fields["looks_like_drawn"]),
            "language": fields["language"] or None,
            "channel": fields["channel"] or None,
            "hours": fields["hours"] or None,
            "turns_at_least": fields["turns_at_least"],
            "confidence_below": fields["confidence_below"],
            "confidence_above": fields["confidence_above"],
            "asked_again": fields["asked_again"] or None,
            "visitor": dict(_pair_of(line) for line in lines_of(fields["visitor"])) or None,
        }
        then = _action(fields["do"], fields["value"])
        if fields["do"] == "ask_for":
            then["shape"] = _shape(fields["shape"], fields["shape_drawn"]) or ""
            then["then"] = _action(fields["then_do"], fields["then_value"])
        return {
            "name": fields["name"],
            "when": {name: value for name, value in when.items() if value is not None} | self._kept,
            "then": then,
            "examples_yes": lines_of(fields["examples_yes"]),
            "examples_no": lines_of(fields["examples_no"]),
        }


def _action(do: str, value: str) -> dict[str, object]:
    named = VALUES.get(do)
    return (
        {"do": do, named: value.strip()} if named and (value or do != "hand_over") else {"do": do}
    )


def _shape(chosen: str, drawn: str) -> str | None:
    return (drawn.strip() if chosen == DRAWN else chosen) or None


def _pair_of(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


def _fields_of(rule: Rule) -> dict[str, object]:
    """What the form shows of a rule."""
    when, then = dict(rule.when), rule.then
    shown = {
        **when,
        **_drawn_fields("looks_like", when.get("looks_like", "")),
        "name": rule.name,
        "says_any": "\n".join(when.get("says_any", [])),
        "says_all": "\n".join(when.get("says_all", [])),
        "visitor": "\n".join(f"{name} = {one}" for name, one in when.get("visitor", {}).items()),
        "do": then["do"],
        "value": then.get(VALUES.get(then["do"], ""), ""),
        "examples_yes": "\n".join(rule.examples_yes),
        "examples_no": "\n".join(rule.examples_no),
    }
    if then["do"] == "ask_for":
        last = then["then"]
        shown |= {
            **_drawn_fields("shape", then["shape"]),
            "then_do": last["do"],
            "then_value": last.get(VALUES.get(last["do"], ""), ""),
        }
    return shown


def _drawn_fields(name: str, shape: str) -> dict[str, str]:
    if not shape or shape in NAMED:
        return {name: shape}
    return {name: DRAWN, f"{name}_drawn": shape}
