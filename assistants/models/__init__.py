"""The rows of assistants: knowledge, versions, conversations and what keeps them right."""

from assistants.models.assistant import Assistant, AssistantQuerySet
from assistants.models.conversation import (
    NEXT_STATES,
    Channel,
    Conversation,
    ConversationState,
    Decision,
    Message,
    Move,
    Note,
    Visitor,
)
from assistants.models.delivery import Delivery, Mailbox
from assistants.models.knowledge import Answer, Passage, Phrasing, Source
from assistants.models.quality import Judgement, Rule, ShadowDecision, TestCase, TestRun
from assistants.models.speech import Speech, SpokenReply
from assistants.models.version import (
    IndexEntry,
    LanguageModel,
    PassageEntry,
    PassageTerm,
    Term,
    Version,
    VersionStatus,
)

__all__ = [
    "NEXT_STATES",
    "Answer",
    "Assistant",
    "AssistantQuerySet",
    "Channel",
    "Conversation",
    "ConversationState",
    "Decision",
    "Delivery",
    "IndexEntry",
    "Judgement",
    "LanguageModel",
    "Mailbox",
    "Message",
    "Move",
    "Note",
    "Passage",
    "PassageEntry",
    "PassageTerm",
    "Phrasing",
    "Rule",
    "ShadowDecision",
    "Source",
    "Speech",
    "SpokenReply",
    "Term",
    "TestCase",
    "TestRun",
    "Version",
    "VersionStatus",
    "Visitor",
]
