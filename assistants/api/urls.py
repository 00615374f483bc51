"""Addresses of the native API, below /api/v1."""

from django.urls import path

from assistants.api import assistants, inbox, knowledge, quality

ONE = "assistants/<uuid:assistant_id>"
TALK = f"{ONE}/conversations/<uuid:conversation_id>"
urlpatterns = [
    path("assistants", assistants.AssistantsEndpoint.as_view()),
    path(ONE, assistants.AssistantEndpoint.as_view()),
    path(f"{ONE}/restore", assistants.AssistantRestoreEndpoint.as_view()),
    path(f"{ONE}/sources", assistants.SourcesEndpoint.as_view()),
    path(f"{ONE}/versions", assistants.VersionsEndpoint.as_view()),
    path(f"{ONE}/versions/<int:number>", assistants.VersionEndpoint.as_view()),
    path(f"{ONE}/versions/<int:number>/publish", assistants.PublishEndpoint.as_view()),
    path(f"{ONE}/versions/<int:number>/rollback", assistants.RollbackEndpoint.as_view()),
    path(f"{ONE}/versions/<int:number>/shadow", assistants.ShadowEndpoint.as_view()),
    path(f"{ONE}/rollback", assistants.RollbackEndpoint.as_view()),
    path(f"{ONE}/answers", knowledge.AnswersEndpoint.as_view()),
    path(f"{ONE}/answers/<int:answer_id>", knowledge.AnswerEndpoint.as_view()),
    path(f"{ONE}/answers/<int:answer_id>/phrasings", knowledge.PhrasingsEndpoint.as_view()),
    path(
        f"{ONE}/answers/<int:answer_id>/phrasings/<int:phrasing_id>",
        knowledge.PhrasingEndpoint.as_view(),
    ),
    path(f"{ONE}/gaps", knowledge.GapsEndpoint.as_view()),
    path(f"{ONE}/versions/<int:number>/test-runs", quality.TestRunsEndpoint.as_view()),
    path(f"{ONE}/test-cases/<int:case_id>", quality.TestCaseEndpoint.as_view()),
    path(f"{ONE}/test-cases", quality.TestCasesEndpoint.as_view()),
    path(f"{ONE}/rules", quality.RulesEndpoint.as_view()),
    path(f"{ONE}/rules/<int:rule_id>", quality.RuleEndpoint.as_view()),
    path(f"{ONE}/channels", quality.ChannelsEndpoint.as_view()),
    path(f"{ONE}/channels/<uuid:channel_id>", quality.ChannelEndpoint.as_view()),
    path(f"{ONE}/conversations", inbox.ConversationsEndpoint.as_view()),
    path(f"{TALK}", inbox.ConversationEndpoint.as_view()),
    path(f"{TALK}/replies", inbox.RepliesEndpoint.as_view()),
    path(f"{TALK}/notes", inbox.NotesEndpoint.as_view()),
    path(f"{TALK}/block", inbox.BlockEndpoint.as_view()),
    path(f"{ONE}/written-replies", inbox.WrittenRepliesEndpoint.as_view()),
    path(f"{ONE}/written-replies/<int:judgement_id>", inbox.WrittenReplyEndpoint.as_view()),
    path(f"{ONE}/visitors", quality.VisitorsEndpoint.as_view()),
    path(f"{ONE}/judgements", quality.JudgementsEndpoint.as_view()),
    path(f"{ONE}/figures", quality.FiguresEndpoint.as_view()),
]
