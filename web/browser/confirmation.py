"""What cannot be pressed by accident: the name of a thing, typed by whoever ends it."""

from django.http import HttpRequest

from web.errors import UserError

TYPED_NAME_FIELD = "typed_name"


class NameNotTyped(UserError):
    code = "name_not_typed"
    sentence = "Nothing was changed. Type the exact name to confirm."


def require_typed_name(request: HttpRequest, name: str) -> None:
    """Raises NameNotTyped unless the form was sent with this name in it."""
    if request.POST.get(TYPED_NAME_FIELD, "").strip() != name.strip():
        raise NameNotTyped(f"Nothing was changed. Type “{name}” to confirm.")
