"""What every control-plane endpoint of /v1 shares: ids, times, lists, bodies and views."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from engine.spec.problems import problem_sentence
from inference.errors import NoSuchObject, UnsupportedEncoding
from projects.errors import BadUpload
from projects.models import Project
from web.api import BadParameter
from web.idempotency.api import APIView
from web.validation.values import parse_digits

Body = TypeVar("Body", bound=BaseModel)
Row = TypeVar("Row", bound=Model)
JsonObject = dict[str, object]
PROJECT_HEADER = "OpenAI-Project"


class OpenAiView(APIView):
    """A view of the control plane. Its shapes are OpenAI's, so our own schema leaves it out."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise UnsupportedEncoding(
                f"A body with Content-Encoding {encoding[:40]!r} is not read here. Send it plain."
            )

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """JSON, whatever Accept says: clients ask for a file's content by types of their own."""
        return JSONRenderer(), "application/json"


def wire_id(prefix: str, key: uuid.UUID) -> str:
    """A row's id as clients see it, such as file-0123…"""
    return f"{prefix}{key.hex}"


def parse_id(prefix: str, text: str) -> uuid.UUID | None:
    """The key behind such an id; None for anything else."""
    digits = text.removeprefix(prefix)
    if not text.startswith(prefix) or len(digits) != 32:
        return None
    try:
        return uuid.UUID(digits)
    except ValueError:
        return None


def find_object(rows: QuerySet[Row], prefix: str, text: str, kind: str, param: str) -> Row:
    """The row with this id on the wire. Raises NoSuchObject."""
    key = parse_id(prefix, text)
    row = rows.filter(pk=key).first() if key else None
    if row is None:
        raise NoSuchObject(f"No such {kind} object: {text[:100]!r}.", param=param)
    return row


def unix_time(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def parse_body(body: type[Body], content: object) -> Body:
    """The content as this model. Raises BadParameter naming the first field at fault."""
    if not isinstance(content, Mapping):
        raise BadParameter("The body must be a JSON object.")
    try:
        return body.model_validate(dict(content))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        param = _param_of(problems[0])
        # Of a union, each member says what it would take.
        sentences = dict.fromkeys(
            problem_sentence(each).rstrip(".") for each in problems if _param_of(each) == param
        )
        first, *others = sentences
        sentence = ", or ".join([first, *(f"{each[0].lower()}{each[1:]}" for each in others)])
        raise BadParameter(f"{param}: {sentence}.", param=param or None) from None


def _param_of(problem: ErrorDetails) -> str:
    """The dotted name of the field; of a union, pydantic adds its members' names to the path."""
    names = [str(part) for part in problem["loc"] if str(part).isidentifier()]
    return ".".join(name for name in names if name not in ("int", "float", "str", "constrained"))


def list_page(
    request: Request,
    rows: QuerySet[Row],
    prefix: str,
    serialize: Callable[[Row], JsonObject],
    *,
    default_limit: int = 20,
    max_limit: int = 100,
) -> JsonObject:
    """A page of rows in OpenAI's list shape; `after` is the id of the last row already seen."""
    limit = parse_limit(request, default_limit, max_limit)
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadParameter("order must be asc or desc.", param="order")
    sign, lookup = ("-", "lt") if order == "desc" else ("", "gt")
    if (after := request.query_params.get("after")) is not None:
        last: Any = rows.filter(pk=parse_id(prefix, after)).first()
        if last is None:
            raise BadParameter("after names no object of this list.", param="after")
        same = Q(created_at=last.created_at, **{f"pk__{lookup}": last.pk})
        rows = rows.filter(Q(**{f"created_at__{lookup}": last.created_at}) | same)
    listed = list(rows.order_by(f"{sign}created_at", f"{sign}pk")[: limit + 1])
    return list_object([serialize(row) for row in listed[:limit]], has_more=len(listed) > limit)


def list_object(data: list[JsonObject], *, has_more: bool) -> JsonObject:
    ids = [item["id"] for item in data]
    return {
        "object": "list",
        "data": data,
        "has_more": has_more,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }


def parse_limit(request: Request, default: int, most: int) -> int:
    limit = parse_digits(request.query_params.get("limit", str(default)))
    if limit is None or not 1 <= limit <= most:
        raise BadParameter(f"limit must be a whole number from 1 to {most}.", param="limit")
    return limit


def named_project(request: Request) -> Project | None:
    """The project that the client names by its header, by id or name. Raises BadUpload."""
    name = request.headers.get(PROJECT_HEADER, "")
    if not name:
        return None
    projects = Project.objects.visible_to(request.auth).active()
    try:
        project = projects.filter(pk=uuid.UUID(name)).first()
    except ValueError:
        project = projects.filter(name=name).first()
    if project is None:
        raise BadUpload(f"This team has no project {name[:80]!r}.", param=PROJECT_HEADER)
    return project
