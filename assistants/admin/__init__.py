"""Assistants in the Django admin: shown only. What visitors wrote is not for operators to read."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from assistants.models import (
    Answer,
    Assistant,
    Channel,
    Conversation,
    Decision,
    Delivery,
    Judgement,
    Mailbox,
    Move,
    Rule,
    Source,
    Speech,
    SpokenReply,
    TestCase,
    TestRun,
    Version,
    Visitor,
)
from web.admin import ReadOnlyAdmin, ReadOnlyAdminMixin

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:  # Django's own class takes no type parameter at run time.
    Base = admin.ModelAdmin


@admin.register(Assistant)
class AssistantAdmin(ReadOnlyAdminMixin, Base):
    list_display = ("name", "team", "state", "promise", "out_of_scope_share", "created_at")
    list_filter = ("state",)
    list_select_related = ("team",)
    search_fields = ("name", "team__name")
    date_hierarchy = "created_at"
    exclude = ("writer_key", "writer_keys", "voice_key")


@admin.register(Version)
class VersionAdmin(ReadOnlyAdminMixin, Base):
    list_display = ("assistant", "number", "status", "promise", "created_at", "live_at")
    list_filter = ("status",)
    list_select_related = ("assistant",)
    search_fields = ("assistant__name",)


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdminMixin, Base):
    list_display = ("assistant", "kind", "name", "created_at", "disabled_at")
    list_filter = ("kind",)
    list_select_related = ("assistant",)
    exclude = ("secrets", "public_key")


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("id", "channel", "state", "assignee", "opened_at", "closed_at", "outcome")
    list_filter = ("state", "outcome")
    list_select_related = ("channel__assistant", "assignee")
    exclude = ("contact", "captured", "awaiting")


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ("id", "route", "answer_key", "confidence", "at")
    list_filter = ("route",)
    exclude = ("message", "reply", "candidates", "draft", "burst", "held_back")


@admin.register(Source, Answer, Rule, TestCase)
class KnowledgeAdmin(ReadOnlyAdminMixin, Base):
    list_display = ("__str__", "assistant", "created_at")
    list_select_related = ("assistant",)


@admin.register(Speech)
class SpeechAdmin(ReadOnlyAdmin):
    list_display = ("assistant", "format", "seconds", "made_at")
    list_select_related = ("assistant",)
    exclude = ("content",)


@admin.register(SpokenReply)
class SpokenReplyAdmin(ReadOnlyAdmin):
    list_display = ("id", "format", "language", "is_billed", "created_at")
    exclude = ("message", "token", "text")


@admin.register(TestRun, Judgement, Visitor, Delivery, Mailbox, Move)
class RowAdmin(ReadOnlyAdmin):
    list_display = ("__str__",)
