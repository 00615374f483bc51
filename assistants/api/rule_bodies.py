"""A rule on the wire."""

from rest_framework import serializers

from assistants.models import Rule
from assistants.rules.specs import AddTag, AskFor, Conditions, GiveAnswer, HandOver, Refuse, Say
from web.reference.hints import DescribedJSONField
from web.validation.fields import IntegerField


class RuleAnswer(serializers.ModelSerializer[Rule]):
    object = serializers.ReadOnlyField(default="assistant.rule")
    when = DescribedJSONField(Conditions)
    then = DescribedJSONField(GiveAnswer | Say | HandOver | Refuse | AddTag | AskFor)
    examples_yes = serializers.ListField(child=serializers.CharField(max_length=2000))
    examples_no = serializers.ListField(child=serializers.CharField(max_length=2000))
    enabled = serializers.BooleanField(default=True)
    position = IntegerField(min_value=0, max_value=10_000, required=False)

    class Meta:
        model = Rule
        fields = (
            "id", "object", "position", "name", "when", "then", "examples_yes", "examples_no",
            "enabled", "created_at",
        )  # fmt: skip
