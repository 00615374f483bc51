"""The native API of answers, their phrasings, and gaps: questions without an answer."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import viewer_of
from assistants.api.shapes import GapList
from assistants.knowledge import answers
from assistants.knowledge.phrasings import add_phrasing, remove_phrasing
from assistants.lifecycle import find_assistant
from assistants.models import Answer, Phrasing
from assistants.review.gaps import find_gaps
from web.api import cursor_page
from web.idempotency.api import APIView
from web.reference.hints import schema_of
from web.validation.fields import ChoiceField

GAPS_SHOWN = 50


def require_order(first: datetime | None, last: datetime | None) -> None:
    """Raises ValidationError where an answer would end before it begins."""
    if first and last and last <= first:
        raise serializers.ValidationError({"valid_until": "It must end after it begins."})


class AnswerRequest(serializers.Serializer[Any]):
    """An answer is used once it is approved. `questions`: ways to ask for it; with three or more it
    can be found, from the next version on."""

    key = serializers.CharField(max_length=200)
    text = serializers.CharField(max_length=4000)
    language = serializers.CharField(max_length=8, required=False)
    link = serializers.URLField(max_length=500, required=False, allow_blank=True, default="")
    valid_from = serializers.DateTimeField(required=False, allow_null=True, default=None)
    valid_until = serializers.DateTimeField(required=False, allow_null=True, default=None)
    questions = serializers.ListField(
        child=serializers.CharField(max_length=2000), required=False, max_length=1000
    )
    approved = serializers.BooleanField(default=False, help_text="Approve it at once.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        require_order(attrs.get("valid_from"), attrs.get("valid_until"))
        return attrs


class AnswerChange(AnswerRequest):
    """Omitted fields are not changed. `state`: only an `approved` answer is used."""

    state = ChoiceField(choices=["approved", "retired"])


class AnswerOfAssistant(serializers.ModelSerializer[Answer]):
    object = serializers.ReadOnlyField(default="assistant.answer")

    class Meta:
        model = Answer
        fields = (
            "id", "object", "key", "language", "text", "link", "state", "approved_at",
            "valid_from", "valid_until", "created_at",
        )  # fmt: skip


class PhrasingOfAnswer(serializers.ModelSerializer[Phrasing]):
    object = serializers.ReadOnlyField(default="assistant.phrasing")
    text = serializers.CharField(max_length=2000)

    class Meta:
        model = Phrasing
        fields = ("id", "object", "text", "language", "origin", "created_at")
        read_only_fields = ("language", "origin", "created_at")


def find_answer(request: Request, assistant_id: UUID, answer_id: int) -> Answer:
    """An answer that the caller may change. Raises Http404."""
    assistant = find_assistant(viewer_of(request), assistant_id, "write")
    return get_object_or_404(assistant.answers.select_related("assistant__team"), pk=answer_id)


class AnswersEndpoint(APIView):
    """The texts that the assistant may reply, word for word."""

    @extend_schema(operation_id="list_answers", responses=AnswerOfAssistant(many=True))
    def get(self, request: Request, assistant_id: UUID) -> Response:
        rows = find_assistant(viewer_of(request), assistant_id).answers.order_by()
        return cursor_page(request, rows, AnswerOfAssistant().to_representation, "key")

    @extend_schema(
        operation_id="write_answer", request=AnswerRequest, responses={201: AnswerOfAssistant}
    )
    def post(self, request: Request, assistant_id: UUID) -> Response:
        """409 where an answer has this key already: change that one."""
        by = viewer_of(request)
        assistant = find_assistant(by, assistant_id, "write")
        body = AnswerRequest(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        language = sent.get("language") or assistant.default_language
        answer = answers.write_answer(assistant, sent["key"], sent["text"], language, by)
        answers.edit(
            answer, by, text=sent["text"], link=sent["link"], valid_from=sent["valid_from"],
            valid_until=sent["valid_until"],
        )  # fmt: skip
        for question in sent.get("questions", []):
            add_phrasing(answer, question)
        if sent["approved"]:
            answers.approve(answer, by)
        return Response(AnswerOfAssistant(answer).data, status=status.HTTP_201_CREATED)


class AnswerEndpoint(APIView):
    """One answer."""

    @extend_schema(operation_id="read_answer", responses=AnswerOfAssistant)
    def get(self, request: Request, assistant_id: UUID, answer_id: int) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id)
        answer = get_object_or_404(assistant.answers, pk=answer_id)
        return Response(AnswerOfAssistant(answer).data)

    @extend_schema(operation_id="change_answer", request=AnswerChange, responses=AnswerOfAssistant)
    def patch(self, request: Request, assistant_id: UUID, answer_id: int) -> Response:
        """A changed text is used at once. The key and language cannot be changed."""
        answer, by = find_answer(request, assistant_id, answer_id), viewer_of(request)
        body = AnswerChange(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        texts = ("text", "link", "valid_from", "valid_until")
        if any(name in request.data for name in texts):
            current = {name: getattr(answer, name) for name in texts}
            changed = current | {name: sent[name] for name in texts if name in request.data}
            require_order(changed["valid_from"], changed["valid_until"])
            answers.edit(answer, by, **changed)
        for question in sent.get("questions", []):
            add_phrasing(answer, question)
        change = {"approved": answers.approve, "retired": answers.retire}.get(sent.get("state", ""))
        if change is not None:
            change(answer, by)
        return Response(AnswerOfAssistant(answer).data)


class PhrasingsEndpoint(APIView):
    """The ways to ask for one answer."""

    @extend_schema(operation_id="list_phrasings", responses=PhrasingOfAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID, answer_id: int) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id)
        answer = get_object_or_404(assistant.answers, pk=answer_id)
        return cursor_page(request, answer.phrasings.all(), PhrasingOfAnswer().to_representation)

    @extend_schema(
        operation_id="add_phrasing", request=PhrasingOfAnswer, responses={201: PhrasingOfAnswer}
    )
    def post(self, request: Request, assistant_id: UUID, answer_id: int) -> Response:
        """Used from the next version on. Returns the existing phrasing if it is known already."""
        answer = find_answer(request, assistant_id, answer_id)
        body = PhrasingOfAnswer(data=request.data)
        body.is_valid(raise_exception=True)
        added = add_phrasing(answer, body.validated_data["text"])
        return Response(PhrasingOfAnswer(added).data, status=status.HTTP_201_CREATED)


class PhrasingEndpoint(APIView):
    """One phrasing."""

    @extend_schema(operation_id="remove_phrasing", responses={204: None})
    def delete(
        self, request: Request, assistant_id: UUID, answer_id: int, phrasing_id: int
    ) -> Response:
        """The next version does not learn it; versions that learnt it keep it."""
        answer = find_answer(request, assistant_id, answer_id)
        phrasing = get_object_or_404(answer.phrasings, pk=phrasing_id)
        phrasing.answer = answer
        remove_phrasing(phrasing, viewer_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class GapsEndpoint(APIView):
    """Questions that found no answer, similar ones in one group; the largest group first."""

    @extend_schema(operation_id="list_gaps", responses={200: schema_of(GapList)})
    def get(self, request: Request, assistant_id: UUID) -> Response:
        """`decisions`: judge one as `should_have_answered`, and its question is taught. For tokens
        whose creator may use the inbox."""
        largest = find_gaps(find_assistant(viewer_of(request), assistant_id, "inbox"))[:GAPS_SHOWN]
        gaps = [
            {
                "object": "assistant.gap",
                "questions": gap.questions,
                "times": len(gap.decisions),
                "nearest": gap.first.candidates[0]["key"] if gap.first.candidates else None,
                "decisions": [str(decision.pk) for decision in gap.decisions],
            }
            for gap in largest
        ]
        return Response({"object": "list", "data": gaps, "has_more": False})
