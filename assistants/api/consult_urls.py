"""Addresses at which visitors' questions are asked."""

from django.urls import path

from assistants.api.chat import ChatView
from assistants.api.consult import ConsultView, ConversationView, FeedbackView, SpeechView

urlpatterns = [
    path("consult", ConsultView.as_view()),
    path("v1/assistants/<slug:name>/consult", ConsultView.as_view()),
    path("v1/assistants/<slug:name>/chat", ChatView.as_view()),
    path("v1/assistants/<slug:name>/feedback", FeedbackView.as_view()),
    path("v1/assistants/<slug:name>/speech/<str:token>", SpeechView.as_view()),
    path(
        "v1/assistants/<slug:name>/conversations/<uuid:conversation_id>",
        ConversationView.as_view(),
    ),
]
