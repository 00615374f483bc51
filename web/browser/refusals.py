"""Expected refusals where people can act on them: on the form that they filled in."""

from collections.abc import Iterator
from contextlib import contextmanager

from django import forms
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from web.errors import UserError
from web.language.sentences import without_field_name


@contextmanager
def refusals_on(form: forms.BaseForm) -> Iterator[None]:
    """Put a refusal on this valid form, at its field if it names one: what was typed stays."""
    try:
        yield
    except UserError as refusal:
        field = refusal.param if refusal.param in form.fields else None
        form.add_error(field, without_field_name(refusal.sentence) if field else refusal.sentence)
        form.refusal_status = refusal.status  # type: ignore[attr-defined]


def status_of(form: forms.BaseForm, invalid: int = 400) -> int:
    """The HTTP status of a page that shows this form: its refusal's, or `invalid` with errors."""
    if not form.errors:
        return 200
    return int(getattr(form, "refusal_status", invalid))


def page_with_the_button(request: HttpRequest) -> str | None:
    """The page of ours from which a button was pressed; None where a form posted to itself."""
    referer = request.headers.get("Referer", "")
    if request.method != "POST" or not url_has_allowed_host_and_scheme(
        referer, {request.get_host()}, require_https=request.is_secure()
    ):
        return None
    own = request.build_absolute_uri(request.path)
    return None if referer.partition("?")[0] == own else referer
