"""The native API of the inbox: conversations, people's replies, and drafts of answers from replies.

Only for tokens whose creator may use the inbox; they act in that person's name.
"""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import person_behind, viewer_of
from assistants.answering.suggestions import find_question, suggest_answers
from assistants.api.serializers import ConversationAnswer
from assistants.api.shapes import AnswerSuggestion, ConversationMove, ReviewedReply, VisitorBlock
from assistants.consultations.originals import read_original
from assistants.conversations import state, visitors
from assistants.conversations.notes import add_note
from assistants.conversations.readers import others_present
from assistants.conversations.situations import read_captured
from assistants.errors import ConversationMovedOn
from assistants.lifecycle import find_assistant
from assistants.models import Conversation, Judgement, Message, Note
from assistants.people import owners
from assistants.review.replies import dismiss_reply, draft_answer, pending_replies, send_reply
from web.api import cursor_page
from web.idempotency.api import APIView
from web.reference.hints import DescribedField, schema_of
from web.validation.fields import ChoiceField, IntegerField


class ReplyRequest(serializers.Serializer[Any]):
    """`answer`: the key of the approved answer that the text is, or was made from. `question`: the
    `seq` of the message that is answered; without it the newest one."""

    text = serializers.CharField(max_length=4000, trim_whitespace=False)
    answer = serializers.CharField(max_length=200, required=False, default="")
    question = IntegerField(min_value=1, max_value=2**31 - 1, required=False)


class MoveRequest(serializers.Serializer[Any]):
    to = ChoiceField(
        choices=["human", "bot", "closed"],
        help_text="`human`: take it; `bot`: return it to the assistant; `closed`: end it.",
    )
    instead_of = serializers.EmailField(
        required=False, help_text="Of `human`: who has it now, to answer in their place."
    )
    assignee = serializers.EmailField(
        required=False, help_text="With `instead_of`: who shall answer; you, without it."
    )
    resolved = serializers.BooleanField(default=False, help_text="Of a conversation that ends.")


class BlockRequest(serializers.Serializer[Any]):
    period = ChoiceField(choices=list(visitors.PERIODS))


class NoteAnswer(serializers.ModelSerializer[Note]):
    object = serializers.ReadOnlyField(default="assistant.note")
    person = serializers.EmailField(source="person.email", read_only=True)
    text = serializers.CharField(max_length=4000)

    class Meta:
        model = Note
        fields = ("id", "object", "person", "text", "at")
        read_only_fields = ("at",)


class ReviewRequest(serializers.Serializer[Any]):
    action = ChoiceField(choices=["draft", "dismiss"])


class MessageAnswer(serializers.ModelSerializer[Message]):
    object = serializers.ReadOnlyField(default="assistant.message")
    person = serializers.EmailField(source="person.email", default=None, allow_null=True)
    decision = serializers.UUIDField(source="decision.pk", default=None, allow_null=True)
    route = serializers.CharField(source="decision.route", default=None, allow_null=True)
    original = serializers.SerializerMethodField(
        help_text="As it was written before it was masked, where the assistant keeps that."
    )

    class Meta:
        model = Message
        fields = (
            "object", "seq", "author", "person", "text", "original", "at", "decision", "route",
        )  # fmt: skip

    def get_original(self, message: Message) -> str | None:
        return read_original(message)


class WholeConversationAnswer(ConversationAnswer):
    """A conversation with all that was said. `question` is the number of the message that waits for
    a reply; `suggestions` are approved answers that may be meant."""

    assignee = serializers.EmailField(allow_null=True)
    present = serializers.ListField(child=serializers.EmailField())
    verified = serializers.BooleanField()
    locale = serializers.CharField(allow_null=True)
    blocked_until = serializers.DateTimeField(allow_null=True)
    captured = DescribedField(dict[str, str])
    history = DescribedField(list[ConversationMove])
    messages = MessageAnswer(many=True)
    question = serializers.IntegerField(allow_null=True)
    suggestions = DescribedField(list[AnswerSuggestion])

    class Meta(ConversationAnswer.Meta):
        fields = (
            *ConversationAnswer.Meta.fields, "assignee", "present", "verified", "locale",
            "blocked_until", "captured", "history", "messages", "question", "suggestions",
        )  # type: ignore[assignment]  # fmt: skip


class WrittenReplyAnswer(serializers.ModelSerializer[Judgement]):
    object = serializers.ReadOnlyField(default="assistant.written_reply")
    question = serializers.CharField(source="decision.question")
    language = serializers.CharField(source="decision.language")

    class Meta:
        model = Judgement
        fields = ("id", "object", "question", "text", "language", "at")


def find_conversation(request: Request, assistant_id: UUID, conversation_id: UUID) -> Conversation:
    assistant = find_assistant(viewer_of(request), assistant_id, "inbox")
    rows = Conversation.objects.filter(channel__assistant=assistant)
    return get_object_or_404(
        rows.select_related("channel__assistant__team", "assignee", "visitor"), pk=conversation_id
    )


class ConversationsEndpoint(APIView):
    """What visitors and the assistant said, newest first."""

    @extend_schema(
        operation_id="list_conversations",
        parameters=[OpenApiParameter("tag", str, description="Only those with this tag.")],
        responses=ConversationAnswer(many=True),
    )
    def get(self, request: Request, assistant_id: UUID) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id, "inbox")
        rows = Conversation.objects.filter(channel__assistant=assistant)
        if tag := request.query_params.get("tag"):
            rows = rows.filter(tags__contains=[tag.replace("\0", "")])
        return cursor_page(request, rows, ConversationAnswer().to_representation, "-opened_at")


class ConversationEndpoint(APIView):
    """One conversation: what was said, and which approved answers may be meant."""

    @extend_schema(operation_id="read_conversation", responses=WholeConversationAnswer)
    def get(self, request: Request, assistant_id: UUID, conversation_id: UUID) -> Response:
        conversation = find_conversation(request, assistant_id, conversation_id)
        messages = conversation.messages.select_related("decision", "person").order_by("seq")
        question = find_question(conversation)
        suggested = suggest_answers(conversation.channel.assistant, question) if question else []
        return Response(
            {
                **ConversationAnswer(conversation).data,
                "assignee": conversation.assignee.email if conversation.assignee else None,
                "present": [
                    reader.email
                    for reader in others_present(conversation, person_behind(viewer_of(request)))
                ],
                "verified": bool(conversation.visitor and conversation.visitor.verified),
                "locale": conversation.visitor.locale or None if conversation.visitor else None,
                "blocked_until": conversation.visitor.blocked_until
                if conversation.visitor
                else None,
                "captured": read_captured(conversation),
                "history": [
                    {
                        "to": move.to,
                        "by": move.person.email if move.person else None,
                        "reason": move.reason or None,
                        "at": move.at,
                    }
                    for move in conversation.moves.select_related("person")
                ],
                "messages": MessageAnswer(messages, many=True).data,
                "question": question.seq if question else None,
                "suggestions": [
                    {
                        "answer": suggestion.answer.key,
                        "text": suggestion.answer.text,
                        "probability": round(suggestion.probability, 4),
                    }
                    for suggestion in suggested
                ],
            }
        )

    @extend_schema(
        operation_id="move_conversation", request=MoveRequest, responses=ConversationAnswer
    )
    def patch(self, request: Request, assistant_id: UUID, conversation_id: UUID) -> Response:
        """Take, take over, give, return or close it. 409 where somebody else has done so first."""
        conversation = find_conversation(request, assistant_id, conversation_id)
        body = MoveRequest(data=request.data)
        body.is_valid(raise_exception=True)
        person, to = person_behind(viewer_of(request)), body.validated_data["to"]
        if instead_of := body.validated_data.get("instead_of"):
            before = conversation.assignee
            if to != "human" or before is None or before.email.lower() != instead_of.lower():
                raise ConversationMovedOn
            assignee = body.validated_data.get("assignee", person.email)
            owners.hand_to(conversation, person, assignee)
        elif to == "human":
            state.take(conversation, person)
        elif to == "bot":
            state.return_to_bot(conversation, person)
        else:
            outcomes = Conversation.Outcome
            is_resolved = body.validated_data["resolved"]
            outcome = outcomes.RESOLVED if is_resolved else outcomes.UNRESOLVED
            state.close(conversation, outcome, person)
        return Response(ConversationAnswer(conversation).data)


class RepliesEndpoint(APIView):
    """Replies of the person who took a conversation."""

    @extend_schema(operation_id="reply", request=ReplyRequest, responses={201: MessageAnswer})
    def post(self, request: Request, assistant_id: UUID, conversation_id: UUID) -> Response:
        """An approved answer that is sent unchanged answers such questions from the next version
        on; other words wait for a review. 409 unless you have taken the conversation."""
        conversation = find_conversation(request, assistant_id, conversation_id)
        body = ReplyRequest(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        message = send_reply(
            conversation,
            person_behind(viewer_of(request)),
            sent["text"],
            answer_key=sent["answer"],
            question_seq=sent.get("question"),
        )
        return Response(MessageAnswer(message).data, status=status.HTTP_201_CREATED)


class NotesEndpoint(APIView):
    """People's notes about a conversation, which neither visitors nor models see."""

    @extend_schema(operation_id="list_notes", responses=NoteAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID, conversation_id: UUID) -> Response:
        conversation = find_conversation(request, assistant_id, conversation_id)
        rows = conversation.notes.select_related("person").order_by()
        return cursor_page(request, rows, NoteAnswer().to_representation, "at")

    @extend_schema(operation_id="add_note", request=NoteAnswer, responses={201: NoteAnswer})
    def post(self, request: Request, assistant_id: UUID, conversation_id: UUID) -> Response:
        conversation = find_conversation(request, assistant_id, conversation_id)
        body = NoteAnswer(data=request.data)
        body.is_valid(raise_exception=True)
        note = add_note(
            conversation, person_behind(viewer_of(request)), body.validated_data["text"]
        )
        return Response(NoteAnswer(note).data, status=status.HTTP_201_CREATED)


class BlockEndpoint(APIView):
    """Whether the visitor of a conversation may write."""

    @extend_schema(
        operation_id="block_visitor", request=BlockRequest, responses={200: schema_of(VisitorBlock)}
    )
    def post(self, request: Request, assistant_id: UUID, conversation_id: UUID) -> Response:
        """Refuse the visitor's messages for a day, a week or always."""
        conversation = find_conversation(request, assistant_id, conversation_id)
        body = BlockRequest(data=request.data)
        body.is_valid(raise_exception=True)
        until = visitors.block(conversation, body.validated_data["period"], viewer_of(request))
        return Response({"object": "assistant.visitor", "blocked_until": until})

    @extend_schema(operation_id="unblock_visitor", responses={200: schema_of(VisitorBlock)})
    def delete(self, request: Request, assistant_id: UUID, conversation_id: UUID) -> Response:
        conversation = find_conversation(request, assistant_id, conversation_id)
        visitors.unblock(conversation, viewer_of(request))
        return Response({"object": "assistant.visitor", "blocked_until": None})


class WrittenRepliesEndpoint(APIView):
    """People's replies in their own words that have not been reviewed yet."""

    @extend_schema(operation_id="list_written_replies", responses=WrittenReplyAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID) -> Response:
        rows = pending_replies(find_assistant(viewer_of(request), assistant_id, "inbox")).order_by()
        return cursor_page(request, rows, WrittenReplyAnswer().to_representation, "-at")


class WrittenReplyEndpoint(APIView):
    """One written reply."""

    @extend_schema(
        operation_id="review_written_reply",
        request=ReviewRequest,
        responses={200: schema_of(ReviewedReply)},
    )
    def post(self, request: Request, assistant_id: UUID, judgement_id: int) -> Response:
        """`draft`: make an answer of it, which waits for approval; `dismiss`: make none."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = ReviewRequest(data=request.data)
        body.is_valid(raise_exception=True)
        if body.validated_data["action"] == "dismiss":
            dismiss_reply(assistant, judgement_id, viewer_of(request))
            return Response({"object": "assistant.written_reply", "answer": None})
        answer = draft_answer(assistant, judgement_id, viewer_of(request))
        return Response({"object": "assistant.written_reply", "answer": answer.key})
