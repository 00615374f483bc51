"""The native API of test cases, rules, channels, visitors, judgements and figures."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from accounts.permissions import viewer_of
from assistants.answering.masking import mask
from assistants.api.assistants import find_version
from assistants.api.rule_bodies import RuleAnswer
from assistants.api.serializers import (
    ChannelAnswer,
    ChannelRequest,
    JudgementAnswer,
    JudgementRequest,
    TestCaseAnswer,
)
from assistants.api.shapes import AssistantFigures, ErasedVisitor, ExportedVisitor
from assistants.conversations import privacy
from assistants.errors import StaleVersionState
from assistants.lifecycle import (
    add_channel,
    change_channel,
    disable_channel,
    find_assistant,
    rotate_key,
)
from assistants.models import (
    Assistant,
    Channel,
    Conversation,
    Judgement,
    Rule,
    TestCase,
    TestRun,
    Visitor,
)
from assistants.models.quality import CaseResult
from assistants.queries import figures, measures
from assistants.review.judging import judge
from assistants.versions.ruling import add_rule, change_rule, delete_rule, find_swallowed
from assistants.versions.testing import run_tests
from web.api import BadParameter, cursor_page
from web.idempotency.api import APIView
from web.reference.hints import DescribedField, schema_of
from web.validation.fields import IntegerField


class TestRunAnswer(serializers.ModelSerializer[TestRun]):
    __test__ = False
    object = serializers.ReadOnlyField(default="assistant.test_run")
    version = serializers.IntegerField(source="version.number")
    results = DescribedField(list[CaseResult])

    class Meta:
        model = TestRun
        fields = ("id", "object", "version", "passed", "failed", "failed_locked", "results", "at")


class ChannelChange(serializers.Serializer[Any]):
    """Omitted fields are not changed."""

    name = serializers.CharField(max_length=80, required=False, allow_blank=True)
    allowed_origins = serializers.ListField(
        child=serializers.CharField(max_length=300), required=False, max_length=20
    )
    daily_limit = IntegerField(min_value=0, max_value=10_000_000, required=False)
    new_key = serializers.BooleanField(
        required=False, default=False, help_text="Gives it another key; the old one ends."
    )


class TestCasesEndpoint(APIView):
    """Questions whose outcome is known."""

    __test__ = False

    @extend_schema(operation_id="list_test_cases", responses=TestCaseAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID) -> Response:
        rows = find_assistant(viewer_of(request), assistant_id).test_cases.all()
        return cursor_page(request, rows, TestCaseAnswer().to_representation)

    @extend_schema(
        operation_id="add_test_case", request=TestCaseAnswer, responses={201: TestCaseAnswer}
    )
    def post(self, request: Request, assistant_id: UUID) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = TestCaseAnswer(data=request.data)
        body.is_valid(raise_exception=True)
        fields = dict(body.validated_data)
        case, _ = TestCase.objects.update_or_create(
            assistant=assistant, question=fields.pop("question"), defaults=fields
        )
        return Response(TestCaseAnswer(case).data, status=status.HTTP_201_CREATED)


class TestCaseEndpoint(APIView):
    """One test case."""

    __test__ = False

    @extend_schema(operation_id="delete_test_case", responses={204: None})
    def delete(self, request: Request, assistant_id: UUID, case_id: int) -> Response:
        """Delete it; the gate no longer asks for it."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        case = get_object_or_404(assistant.test_cases, pk=case_id)
        question = case.question[:80]
        audit.record(assistant.team, viewer_of(request), "assistant.test-deleted", question)
        case.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class TestRunsEndpoint(APIView):
    """How a version decides the test cases."""

    __test__ = False

    @extend_schema(operation_id="list_test_runs", responses=TestRunAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID, number: int) -> Response:
        version = find_version(find_assistant(viewer_of(request), assistant_id), number)
        rows = version.test_runs.order_by()
        return cursor_page(request, rows, TestRunAnswer().to_representation, "-at")

    @extend_schema(operation_id="run_tests", request=None, responses={201: TestRunAnswer})
    def post(self, request: Request, assistant_id: UUID, number: int) -> Response:
        """Run every test case now. 409 for a version that was not measured."""
        version = find_version(find_assistant(viewer_of(request), assistant_id, "write"), number)
        if version.measured_at is None:
            raise StaleVersionState("Only a version that is measured can be tested.")
        run = run_tests(version)
        return Response(TestRunAnswer(run).data, status=status.HTTP_201_CREATED)


class RulesEndpoint(APIView):
    """Rules, which decide before a question is matched with answers."""

    @extend_schema(operation_id="list_rules", responses=RuleAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID) -> Response:
        rows = find_assistant(viewer_of(request), assistant_id).rules.all()
        return cursor_page(request, rows, RuleAnswer().to_representation, order="position")

    @extend_schema(operation_id="add_rule", request=RuleAnswer, responses={201: RuleAnswer})
    def post(self, request: Request, assistant_id: UUID) -> Response:
        """The rule must decide its examples as they say. Used from the next version on. `warnings`
        names examples that an earlier rule decides."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = RuleAnswer(data=request.data)
        body.is_valid(raise_exception=True)
        fields = dict(body.validated_data)
        rule = add_rule(assistant, viewer_of(request), **fields)
        swallowed = [warning.sentence for warning in find_swallowed(assistant)]
        return Response(
            {**RuleAnswer(rule).data, "warnings": swallowed}, status=status.HTTP_201_CREATED
        )


class RuleEndpoint(APIView):
    """One rule."""

    @extend_schema(operation_id="change_rule", request=RuleAnswer, responses=RuleAnswer)
    def patch(self, request: Request, assistant_id: UUID, rule_id: int) -> Response:
        """The whole rule must still be valid. Used from the next version on. The rule with the
        lowest `position` is tried first."""
        rule = self._find(request, assistant_id, rule_id)
        body = RuleAnswer(rule, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        change_rule(rule, viewer_of(request), **body.validated_data)
        swallowed = [warning.sentence for warning in find_swallowed(rule.assistant)]
        return Response({**RuleAnswer(rule).data, "warnings": swallowed})

    @extend_schema(operation_id="delete_rule", responses={204: None})
    def delete(self, request: Request, assistant_id: UUID, rule_id: int) -> Response:
        """Versions that were built with it keep it."""
        delete_rule(self._find(request, assistant_id, rule_id), viewer_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _find(self, request: Request, assistant_id: UUID, rule_id: int) -> Rule:
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        rule: Rule = get_object_or_404(assistant.rules, pk=rule_id)
        rule.assistant = assistant
        return rule


class ChannelsEndpoint(APIView):
    """Channels: the widget, the API, WeChat and e-mail."""

    @extend_schema(operation_id="list_channels", responses=ChannelAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID) -> Response:
        rows = find_assistant(viewer_of(request), assistant_id).channels.all()
        return cursor_page(request, rows, ChannelAnswer().to_representation)

    @extend_schema(
        operation_id="add_channel", request=ChannelRequest, responses={201: ChannelAnswer}
    )
    def post(self, request: Request, assistant_id: UUID) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = ChannelRequest(data=request.data)
        body.is_valid(raise_exception=True)
        kind = Channel.Kind(body.validated_data["kind"])
        fields = body.fields_of_channel()
        channel = add_channel(assistant, kind, viewer_of(request), **fields)
        return Response(ChannelAnswer(channel).data, status=status.HTTP_201_CREATED)


class ChannelEndpoint(APIView):
    """One channel."""

    @extend_schema(operation_id="change_channel", request=ChannelChange, responses=ChannelAnswer)
    def patch(self, request: Request, assistant_id: UUID, channel_id: UUID) -> Response:
        """Change its name, origins, daily limit and key. Accounts are changed on its page."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        channel = get_object_or_404(assistant.channels, pk=channel_id, disabled_at=None)
        channel.assistant = assistant
        body = ChannelChange(data=request.data)
        body.is_valid(raise_exception=True)
        changes = dict(body.validated_data)
        if changes.pop("new_key"):
            rotate_key(channel, viewer_of(request))
        if changes:
            change_channel(channel, viewer_of(request), **changes)
        return Response(ChannelAnswer(channel).data)

    @extend_schema(operation_id="remove_channel", responses={204: None})
    def delete(self, request: Request, assistant_id: UUID, channel_id: UUID) -> Response:
        """Disable the channel. Its conversations are kept."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        channel = get_object_or_404(assistant.channels, pk=channel_id)
        channel.assistant = assistant
        disable_channel(channel, viewer_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


WHOSE = [OpenApiParameter("visitor", str), OpenApiParameter("conversation", str)]


class VisitorsEndpoint(APIView):
    """The stored data of a visitor, named as in `consult`: ?visitor=NAME; or of whoever writes in a
    conversation: ?conversation=ID."""

    @extend_schema(
        operation_id="export_visitor", parameters=WHOSE, responses={200: schema_of(ExportedVisitor)}
    )
    def get(self, request: Request, assistant_id: UUID) -> Response:
        """For callers who may change the assistant."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        visitors = _visitors_asked_for(request, assistant)
        rows = privacy.export_visitors(assistant, visitors, viewer_of(request))
        return Response({"object": "assistant.visitor", "conversations": rows})

    @extend_schema(
        operation_id="erase_visitor", parameters=WHOSE, responses={200: schema_of(ErasedVisitor)}
    )
    def delete(self, request: Request, assistant_id: UUID) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        visitors = _visitors_asked_for(request, assistant)
        count = privacy.erase_visitors(assistant, visitors, viewer_of(request))
        return Response({"object": "assistant.visitor", "deleted_conversations": count})


def _visitors_asked_for(request: Request, assistant: Assistant) -> list[Visitor]:
    key = request.query_params.get("conversation")
    if not key:
        return privacy.find_visitors(assistant, request.query_params.get("visitor", ""))
    try:
        conversation_id = UUID(key)
    except ValueError:
        raise BadParameter("conversation must be an id.", param="conversation") from None
    rows = Conversation.objects.filter(channel__assistant=assistant).select_related("visitor")
    return privacy.visitors_in(get_object_or_404(rows, pk=conversation_id))


class JudgementsEndpoint(APIView):
    """Whether decisions were right."""

    @extend_schema(operation_id="list_judgements", responses=JudgementAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id)
        rows = Judgement.objects.filter(decision__message__channel__assistant=assistant)
        rows = rows.select_related("answer")
        return cursor_page(request, rows, JudgementAnswer().to_representation, "-at")

    @extend_schema(
        operation_id="judge_decision", request=JudgementRequest, responses={201: JudgementAnswer}
    )
    def post(self, request: Request, assistant_id: UUID) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = JudgementRequest(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        judgement = judge(
            assistant,
            sent["decision"],
            sent["verdict"],
            viewer_of(request),
            answer_key=sent["answer"],
            text=mask(sent["text"]),
            is_audit=sent["is_audit"],
        )
        return Response(JudgementAnswer(judgement).data, status=status.HTTP_201_CREATED)


class FiguresEndpoint(APIView):
    """The figures of a period, by default of the last thirty days."""

    @extend_schema(operation_id="read_figures", responses={200: schema_of(AssistantFigures)})
    def get(self, request: Request, assistant_id: UUID) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id)
        until = parse_moment(request.query_params, "until", now())
        since = parse_moment(request.query_params, "since", until - timedelta(days=30))
        computed = figures.compute_figures(assistant, since, until)
        return Response(
            {
                "object": "assistant.figures",
                "since": since,
                "until": until,
                "figures": {figure.name: vars(figure) for figure in computed},
                "volumes": {
                    kind: dict(rows)
                    for kind, rows in measures.volumes(assistant, since, until).items()
                },
                "seconds_to_answer": vars(measures.seconds_to_answer(assistant, since, until)),
                "seconds_to_person": vars(measures.seconds_to_person(assistant, since, until)),
                "cost": vars(measures.cost_of_answers(assistant, since, until)),
                "hand_over_reasons": dict(figures.hand_over_reasons(assistant, since, until)),
            }
        )


FIRST_YEAR, LAST_YEAR = 2000, 2200  # So that no arithmetic with days overflows.


def parse_moment(params: Any, name: str, default: datetime) -> datetime:
    """An ISO 8601 time with its zone. Raises BadParameter."""
    text = params.get(name)
    if not text:
        return default
    try:
        moment = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or is_naive(moment) or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise BadParameter(f"{name} must be a time such as 2026-11-01T00:00:00Z.", param=name)
    return moment
