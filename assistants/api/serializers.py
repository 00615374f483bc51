"""Serializers of assistants, sources, versions, test cases, rules, channels and judgements."""

from typing import Any
from zoneinfo import available_timezones

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.webhooks import secret_encryption
from assistants.answering.texts import DEFAULT_TEXTS
from assistants.api.shapes import VersionReport, WriterSettings
from assistants.mail.account import MailAccount
from assistants.models import (
    Assistant,
    Channel,
    Conversation,
    Judgement,
    Source,
    TestCase,
    Version,
)
from assistants.people.opening_hours import parse_hours
from assistants.versions.reports import summarise
from assistants.voice.configuration import FIELDS as VOICE_FIELDS
from assistants.voice.configuration import voice_problems
from assistants.voice.upstream import validate_voice_url
from assistants.wechat.replying import Account
from assistants.writing.upstream import validate_writer_url
from assistants.writing.writers import writer_of
from web.reference.hints import DescribedField, or_nothing, schema_of
from web.validation.fields import AsStoredField, ChoiceField, FloatField, IntegerField

LANGUAGES = ("en", "zh", "de", "fr", "es", "it", "nl", "pt", "ja", "ko")


class AssistantRequest(serializers.Serializer[Any]):
    """`out_of_scope_share`: the share of questions that no answer covers, from 0 to 1."""

    project = serializers.UUIDField()
    name = serializers.SlugField(max_length=80)
    promise = FloatField(min_value=0.8, max_value=0.99, default=0.95)
    out_of_scope_share = FloatField(min_value=0.01, max_value=0.9, default=0.15)
    languages = serializers.ListField(
        child=ChoiceField(choices=LANGUAGES), min_length=1, required=False
    )


class OpeningHoursField(AsStoredField):
    """{day: [opens, closes]}."""

    def to_internal_value(self, sent: Any) -> dict[str, list[str]]:
        try:
            return parse_hours(
                "\n".join(f"{day} {opens}-{closes}" for day, (opens, closes) in sent.items())
            )
        except (AttributeError, TypeError, ValueError) as problem:
            raise serializers.ValidationError(
                'Send days with two times each: {"mon": ["09:00", "17:00"]}.'
            ) from problem


class OwnTextsField(AsStoredField):
    """{language: {name: sentence}}; omitted sentences are the default ones."""

    def to_internal_value(self, sent: Any) -> dict[str, dict[str, str]]:
        texts: dict[str, dict[str, str]] = sent if isinstance(sent, dict) else {"": {}}
        for language, own in texts.items():
            if language not in DEFAULT_TEXTS or not isinstance(own, dict):
                raise serializers.ValidationError("Send texts by language: en or zh.")
            for name, text in own.items():
                if name not in DEFAULT_TEXTS["en"] or not isinstance(text, str) or len(text) > 500:
                    raise serializers.ValidationError(
                        f"A text is one of {', '.join(DEFAULT_TEXTS['en'])}, of 500 characters."
                    )
        return texts


class AssistantChange(serializers.Serializer[Any]):
    promise = FloatField(min_value=0.8, max_value=0.99, required=False)
    out_of_scope_share = FloatField(min_value=0.01, max_value=0.9, required=False)
    retention_days = IntegerField(min_value=1, max_value=3650, required=False)
    original_days = IntegerField(
        min_value=1, max_value=365, required=False, allow_null=True,
        help_text="For how many days what was masked is kept as it was written, encrypted, for"
        " people of the inbox; null: not at all, and what was kept is deleted at once.",
    )  # fmt: skip
    rebuild_days = IntegerField(
        min_value=1, max_value=365, required=False, allow_null=True,
        help_text="A version is built every so many days if something was taught since.",
    )  # fmt: skip
    daily_budget_micro = IntegerField(
        min_value=0, max_value=10**12, required=False, allow_null=True,
        help_text="Millionths of a US dollar for each UTC day; then people are asked to answer.",
    )  # fmt: skip
    writer_model = serializers.CharField(max_length=200, required=False, allow_blank=True)
    writer_url = serializers.CharField(max_length=500, required=False, allow_blank=True)
    writer_key = serializers.CharField(max_length=500, required=False, allow_blank=True)

    def validate_writer_url(self, text: str) -> str:
        return validate_writer_url(text) if text else ""

    def validate_writer_key(self, key: str) -> str:
        return secret_encryption.encrypt(key) if key else ""

    writer_input_price_micro = IntegerField(
        min_value=0, max_value=10**12, required=False,
        help_text="Millionths of a US dollar that the writer's address asks for a million tokens"
        " that it reads.",
    )  # fmt: skip
    writer_output_price_micro = IntegerField(
        min_value=0, max_value=10**12, required=False, help_text="The same of those it writes.",
    )  # fmt: skip
    writing_style = serializers.CharField(max_length=300, required=False, allow_blank=True)
    languages = serializers.ListField(
        child=ChoiceField(choices=LANGUAGES), min_length=1, required=False
    )
    opening_hours = OpeningHoursField(
        required=False, help_text='Such as {"mon": ["09:00", "17:00"]}; {}: always.'
    )
    time_zone = ChoiceField(choices=sorted(available_timezones()), required=False)
    texts = OwnTextsField(required=False, help_text='Such as {"en": {"greeting": "Hello!"}}.')
    voice = ChoiceField(choices=Assistant.Voice.values, required=False)
    voice_url = serializers.CharField(max_length=500, required=False, allow_blank=True)
    voice_key = serializers.CharField(max_length=500, required=False, allow_blank=True)
    hearing_model = serializers.CharField(max_length=200, required=False, allow_blank=True)
    speaking_model = serializers.CharField(max_length=200, required=False, allow_blank=True)
    voice_name = serializers.CharField(max_length=80, required=False, allow_blank=True)
    paused = serializers.BooleanField(required=False)

    def validate_voice_url(self, text: str) -> str:
        return validate_voice_url(text) if text else ""

    def validate_voice_key(self, key: str) -> str:
        return secret_encryption.encrypt(key) if key else ""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.keys() & set(VOICE_FIELDS):
            before = {name: getattr(self.context["assistant"], name) for name in VOICE_FIELDS}
            if problems := voice_problems(before | attrs):
                raise serializers.ValidationError(problems)
        return attrs


class AssistantAnswer(serializers.ModelSerializer[Assistant]):
    object = serializers.ReadOnlyField(default="assistant")
    opening_hours = DescribedField(dict[str, list[str]])
    texts = DescribedField(dict[str, dict[str, str]])
    project = serializers.UUIDField(source="project_id")

    class Meta:
        model = Assistant
        fields = (
            "id", "object", "name", "project", "state", "promise", "out_of_scope_share",
            "languages", "retention_days", "original_days", "rebuild_days",
            "daily_budget_micro", "writer_model",
            "writer_url",
            "writer_input_price_micro", "writer_output_price_micro", "writing_style",
            "opening_hours",
            "time_zone", "texts", "voice", "voice_url", "hearing_model", "speaking_model",
            "voice_name", "created_at",
        )  # fmt: skip


class SourceRequest(serializers.Serializer[Any]):
    dataset = serializers.UUIDField()
    question_column = serializers.CharField(max_length=255, required=False)
    answer_key_column = serializers.CharField(max_length=255, required=False)
    text_column = serializers.CharField(
        max_length=255, required=False, help_text="Instead of both: each row is a passage."
    )
    heading_column = serializers.CharField(
        max_length=255, required=False, allow_blank=True, default=""
    )
    answer_column = serializers.CharField(
        max_length=255, required=False, allow_blank=True, default=""
    )
    approved = serializers.BooleanField(default=True, help_text="Approve the answers at once.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        missing = [name for name in ("question_column", "answer_key_column") if name not in attrs]
        if "text_column" not in attrs and missing:
            raise serializers.ValidationError({missing[0]: "This field is required."})
        return attrs


class SourceAnswer(serializers.ModelSerializer[Source]):
    object = serializers.ReadOnlyField(default="assistant.source")
    mapping = DescribedField(dict[str, str])
    dataset = serializers.UUIDField(source="dataset_version.dataset_id")

    class Meta:
        model = Source
        fields = (
            "id", "object", "dataset", "mapping", "answers", "phrasings", "passages",
            "skipped_rows", "created_at",
        )  # fmt: skip


class BuildRequest(serializers.Serializer[Any]):
    train_classifier = serializers.BooleanField(
        default=True,
        help_text="Train its classifier by a job first, whose report and bill are a model's; else"
        " measuring fits an equal one.",
    )


class VersionAnswer(serializers.ModelSerializer[Version]):
    object = serializers.ReadOnlyField(default="assistant.version")
    report = serializers.SerializerMethodField()
    error = serializers.CharField(source="failure_sentence")
    writer = serializers.SerializerMethodField(help_text="Who writes from documents, and how.")
    dataset_version = serializers.UUIDField(
        source="dataset_version_id", allow_null=True, help_text="What it learnt, as rows."
    )
    job = serializers.UUIDField(
        source="job_id", allow_null=True, help_text="That trains its classifier."
    )
    classifier = serializers.UUIDField(
        source="classifier_id", allow_null=True, help_text="The trained model."
    )

    class Meta:
        model = Version
        fields = (
            "id", "object", "number", "status", "promise", "out_of_scope_share", "share_audited",
            "encoder", "report", "error", "writer", "dataset_version", "job", "classifier",
            "created_at", "measured_at", "live_at",
        )  # fmt: skip

    @extend_schema_field(schema_of(WriterSettings | None))
    def get_writer(self, version: Version) -> dict[str, str] | None:
        writer = writer_of(version)
        if writer is None:
            return None
        settings = writer.settings
        return {"model": settings.model, "url": settings.url, "style": settings.style}

    @extend_schema_field(or_nothing(VersionReport, "the version was measured"))
    def get_report(self, version: Version) -> dict[str, Any]:
        return summarise(version)


class ShadowRequest(serializers.Serializer[Any]):
    questions = IntegerField(min_value=1, max_value=10_000, default=100)


class PublishRequest(serializers.Serializer[Any]):
    why_worse = serializers.CharField(
        max_length=500,
        required=False,
        allow_blank=True,
        default="",
        help_text="Why a version that answers fewer questions should go live.",
    )


class TestCaseAnswer(serializers.ModelSerializer[TestCase]):
    __test__ = False
    object = serializers.ReadOnlyField(default="assistant.test_case")
    locked = serializers.BooleanField(default=False)

    class Meta:
        model = TestCase
        fields = (
            "id", "object", "question", "expects", "value", "language", "locked", "created_at",
        )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        names = attrs["expects"] in (TestCase.Expects.ANSWER, TestCase.Expects.CONTAINS)
        if names != bool(attrs.get("value")):
            raise serializers.ValidationError(
                {"value": "Name the answer's key, or the words it contains."}
                if names
                else {"value": "Leave this empty where a question is refused or handed over."}
            )
        return attrs


class WechatAccount(serializers.Serializer[Any]):
    """An official account's secrets; stored encrypted and never shown. `encoding_key` is empty in
    plain mode; `customer_messages`: whether the account may send them."""

    app_id = serializers.CharField(max_length=100)
    app_secret = serializers.CharField(max_length=200)
    token = serializers.CharField(max_length=100)
    encoding_key = serializers.RegexField(
        r"^[A-Za-z0-9+/]{43}$", required=False, allow_blank=True, default=""
    )
    customer_messages = serializers.BooleanField(default=False)


class MailAccountRequest(serializers.Serializer[Any]):
    """A mailbox; stored encrypted and never shown. Both servers must offer TLS."""

    address = serializers.EmailField(max_length=254)
    imap_host = serializers.CharField(max_length=253)
    imap_port = IntegerField(min_value=1, max_value=65535, default=993)
    folder = serializers.CharField(max_length=200, default="INBOX")
    smtp_host = serializers.CharField(max_length=253)
    smtp_port = IntegerField(min_value=1, max_value=65535, default=465)
    username = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=500)


class ChannelRequest(serializers.Serializer[Any]):
    kind = ChoiceField(choices=Channel.Kind.choices)
    wechat = WechatAccount(required=False)
    email = MailAccountRequest(required=False)
    name = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    allowed_origins = serializers.ListField(
        child=serializers.CharField(max_length=300), required=False, max_length=20
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for kind in (Channel.Kind.WECHAT, Channel.Kind.EMAIL):
            if (attrs["kind"] == kind) != bool(attrs.get(kind)):
                raise serializers.ValidationError(
                    {kind: f"Send the account's secrets exactly where kind is {kind}."}
                )
        return attrs

    def fields_of_channel(self) -> dict[str, Any]:
        """The arguments of `lifecycle.add_channel` besides the kind."""
        sent = self.validated_data
        fields = {"name": sent["name"], "allowed_origins": sent.get("allowed_origins")}
        if wechat := dict(sent.get("wechat") or {}):
            fields["customer_messages"] = wechat.pop("customer_messages")
            fields["secrets_sealed"] = Account(**wechat).sealed()
        elif mail := sent.get("email"):
            fields["secrets_sealed"] = MailAccount(**mail).sealed()
        return fields


class ChannelAnswer(serializers.ModelSerializer[Channel]):
    object = serializers.ReadOnlyField(default="assistant.channel")
    allowed_origins = DescribedField(list[str])

    class Meta:
        model = Channel
        fields = (
            "id", "object", "kind", "name", "public_key", "allowed_origins", "daily_limit",
            "created_at", "disabled_at",
        )  # fmt: skip


class ConversationAnswer(serializers.ModelSerializer[Conversation]):
    object = serializers.ReadOnlyField(default="assistant.conversation")

    class Meta:
        model = Conversation
        fields = (
            "id", "object", "state", "language", "opened_at", "last_message_at",
            "handed_over_at", "handed_over_reason", "handed_over_group",
            "closed_at", "outcome", "csat", "tags",
        )  # fmt: skip


class JudgementRequest(serializers.Serializer[Any]):
    """`answer`: the key of the answer that is right, where the verdict is not `right`. `text`: what
    should have been said where no answer says it; it waits for a review."""

    decision = serializers.UUIDField()
    verdict = ChoiceField(choices=Judgement.Verdict.choices)
    answer = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    text = serializers.CharField(max_length=4000, required=False, allow_blank=True, default="")
    is_audit = serializers.BooleanField(default=False)


class JudgementAnswer(serializers.ModelSerializer[Judgement]):
    object = serializers.ReadOnlyField(default="assistant.judgement")
    decision = serializers.UUIDField(source="decision_id")
    answer = serializers.CharField(source="answer.key", default=None, allow_null=True)
    used_in = serializers.UUIDField(
        source="used_in_id",
        allow_null=True,
        help_text="The first dataset version whose rows hold what it taught; null before.",
    )

    class Meta:
        model = Judgement
        fields = (
            "id", "object", "decision", "verdict", "answer", "is_audit", "taught_at", "used_in",
            "at",
        )  # fmt: skip
