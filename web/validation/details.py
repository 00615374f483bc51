"""Bodies that change what people write about a thing: its name, tags and notes."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from web.browser.details import MAX_NOTES_LENGTH, MAX_TAGS, TagsField
from web.models.described import MAX_TAG_LENGTH
from web.validation.fields import PrintableField


class DetailsChange(serializers.Serializer[Any]):
    """What is not sent stays as it is; something must be sent."""

    name = PrintableField(max_length=120, required=False)
    tags = serializers.ListField(
        child=PrintableField(max_length=MAX_TAG_LENGTH),
        max_length=MAX_TAGS,
        required=False,
        help_text="All tags it shall have. None holds a comma; each counts once, however it is"
        " capitalized.",
    )
    notes = serializers.CharField(max_length=MAX_NOTES_LENGTH, required=False, allow_blank=True)

    def validate_tags(self, tags: list[str]) -> list[str]:
        if any("," in tag for tag in tags):
            raise serializers.ValidationError("A tag holds no comma. Send each tag by itself.")
        try:
            return list(TagsField(required=False).clean(",".join(tags)))
        except ValidationError as problem:
            raise serializers.ValidationError(problem.messages) from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Send one of: {', '.join(self.fields)}.")
        return attrs

    def details_of(self, row: Any) -> dict[str, object]:
        """The checked body, for the verbs that change details. Those record the name."""
        return {"name": row.name, **self.validated_data}
