"""How a dataset's file is read, over the API: open questions, and options chosen by hand."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import token_of
from projects.api.datasets import DatasetAnswer
from projects.api.versions import VERSION_PARAMETER, find_changeable_version, find_version
from projects.errors import EditsWouldBeLost
from projects.forms.datasets import DialectForm
from projects.importing.another_reading import choose_readings, read_another_way
from projects.models import DatasetVersion
from projects.queries.questions import list_questions
from projects.reading.results import Dialect, ReadingOptions
from web.api import BadParameter
from web.idempotency.api import APIView
from web.reference.hints import DescribedField
from web.validation.fields import ChoiceField, IntegerField


class ReadingsRequest(serializers.Serializer[Any]):
    """Readings by column, as named in `profile.questions`: {"price": "number:1,234.5"}.

    `discard_edits` confirms that edits are lost which another reading leaves without their rows or
    columns."""

    columns = serializers.DictField(child=serializers.CharField(max_length=60), allow_empty=False)
    discard_edits = serializers.BooleanField(required=False, default=False)


class ReadingAnswer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="What to send to answer the question with it.")
    title = serializers.CharField()
    values = serializers.ListField(
        child=serializers.CharField(allow_null=True), help_text="What each cell would become."
    )


class QuestionAnswer(serializers.Serializer[Any]):
    """A column that can be read in several ways. `column` is empty where the question is about the
    first line, the file of an archive, or the labels of pictures."""

    object = serializers.ReadOnlyField(default="dataset.question")
    column = serializers.CharField()
    code = serializers.CharField()
    sentence = serializers.CharField()
    cells = serializers.ListField(child=serializers.CharField(allow_null=True))
    readings = ReadingAnswer(many=True)


def _choices(name: str) -> list[str]:
    """What the page's form lets people choose, but for the empty choice."""
    return [value for value, _ in DialectForm.base_fields[name].choices if value]  # type: ignore[attr-defined]


class OptionsRequest(serializers.Serializer[Any]):
    """How the file shall be read. What is left out or null is detected. `discard_edits` confirms
    that edits are lost which another reading leaves without their rows or columns."""

    encoding = ChoiceField(choices=_choices("encoding"), required=False, allow_null=True)
    delimiter = ChoiceField(choices=_choices("delimiter"), required=False, allow_null=True)
    quote = ChoiceField(choices=_choices("quote"), required=False, allow_null=True)
    escape = ChoiceField(choices=_choices("escape"), required=False, allow_null=True)
    skip_lines = IntegerField(min_value=0, max_value=1000, required=False, allow_null=True)
    header_rows = IntegerField(min_value=0, max_value=10, required=False, allow_null=True)
    short_rows = ChoiceField(choices=_choices("short_rows"), required=False, allow_null=True)
    sheet = serializers.CharField(max_length=100, required=False, allow_null=True)
    file = serializers.CharField(
        max_length=300,
        required=False,
        allow_null=True,
        help_text="Of an archive of several tables: one's path; * joins all with the same columns.",
    )
    discard_edits = serializers.BooleanField(required=False, default=False)


class OptionsAnswer(serializers.Serializer[DatasetVersion]):
    """`chosen` by hand, and what was `detected`, or held, when the file was read."""

    object = serializers.ReadOnlyField(default="dataset.import_options")
    dataset = serializers.UUIDField(source="dataset_id")
    version = serializers.IntegerField(source="number")
    chosen = DescribedField(ReadingOptions, source="overrides")
    detected = DescribedField(Dialect, source="dialect")


class QuestionsEndpoint(APIView):
    @extend_schema(
        operation_id="list_dataset_questions",
        responses=QuestionAnswer(many=True),
        parameters=[VERSION_PARAMETER],
    )
    def get(self, request: Request, dataset_id: UUID) -> Response:
        """Open questions about how columns are read; POST to `readings` answers them."""
        questions = list_questions(find_version(request, dataset_id))
        data = []
        for question in questions:
            cells, *values = zip(*question.rows, strict=True) if question.rows else [()]
            readings = [
                {"name": choice.name, "title": choice.title, "values": column}
                for choice, column in zip(
                    question.choices, values or [()] * len(question.choices), strict=True
                )
            ]
            data.append(
                QuestionAnswer({**vars(question), "cells": cells, "readings": readings}).data
            )
        return Response({"object": "list", "data": data, "has_more": False})


class ReadingsEndpoint(APIView):
    """Decides how columns are read where two readings are plausible (`profile.questions`)."""

    @extend_schema(
        operation_id="datasets_readings_create",
        request=ReadingsRequest,
        responses={202: DatasetAnswer},
        parameters=[VERSION_PARAMETER],
    )
    def post(self, request: Request, dataset_id: UUID) -> Response:
        version = find_changeable_version(request, dataset_id)
        payload = ReadingsRequest(data=request.data)
        payload.is_valid(raise_exception=True)
        columns, discards_edits = (
            payload.validated_data[name] for name in ("columns", "discard_edits")
        )
        try:
            successor = choose_readings(
                version, columns, token_of(request), discards_edits=discards_edits
            )
        except EditsWouldBeLost as refusal:
            raise _how_to_go_on(refusal) from None
        return Response(DatasetAnswer(successor).data, status=202)


class OptionsEndpoint(APIView):
    @extend_schema(
        operation_id="read_import_options", responses=OptionsAnswer, parameters=[VERSION_PARAMETER]
    )
    def get(self, request: Request, dataset_id: UUID) -> Response:
        """How the file of a version was read: what was chosen, and what was detected."""
        return Response(OptionsAnswer(find_version(request, dataset_id)).data)

    @extend_schema(
        operation_id="import_again",
        request=OptionsRequest,
        responses={202: DatasetAnswer},
        parameters=[VERSION_PARAMETER],
    )
    def post(self, request: Request, dataset_id: UUID) -> Response:
        """Read the file another way, as a new version."""
        version = find_changeable_version(request, dataset_id)
        body = OptionsRequest(data=request.data)
        body.is_valid(raise_exception=True)
        sent = {name: value for name, value in body.validated_data.items() if value is not None}
        discards_edits = sent.pop("discard_edits")
        form = DialectForm(sent)
        if not form.is_valid():
            name, problems = next(iter(form.errors.items()))
            raise BadParameter(f"{name}: {problems[0]}", param=name)
        try:
            successor = read_another_way(
                version,
                form.options_for(version),
                token_of(request),
                discards_edits=discards_edits,
            )
        except EditsWouldBeLost as refusal:
            raise _how_to_go_on(refusal) from None
        return Response(DatasetAnswer(successor).data, status=202)


def _how_to_go_on(refusal: EditsWouldBeLost) -> EditsWouldBeLost:
    sentence = f"{refusal.sentence} Send discard_edits: true to go on without them."
    return EditsWouldBeLost(sentence, param=refusal.param)
