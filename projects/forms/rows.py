"""What a person asks of a version's rows: words, one filter, an order, a page."""

from typing import Any, cast

from django import forms

from projects.models import DatasetVersion
from projects.queries.rows import RowQuery
from projects.reading.fixes.conditions import Operator, RowFilter
from projects.reading.results import Edit
from web.language.sentences import lazy_choices, translated_lazy

OPERATOR_WORDS: list[tuple[Operator, str]] = [
    ("is", "is"),
    ("is_not", "is not"),
    ("contains", "contains"),
    ("less", "is less than"),
    ("more", "is more than"),
    ("missing", "is missing"),
    ("filled", "is filled"),
]
NEEDS_NO_VALUE = ("missing", "filled")


class RowEditForm(forms.Form):
    """What to do with rows that were chosen, or with all that the filter above them matches."""

    action = forms.ChoiceField(choices=lazy_choices([("set", "Set"), ("drop", "Delete")]))
    column = forms.ChoiceField(required=False)
    value = forms.CharField(required=False, max_length=100_000, strip=False)
    scope = forms.ChoiceField(
        choices=lazy_choices([("chosen", "the chosen rows"), ("matching", "all rows that match")])
    )

    def __init__(self, version: DatasetVersion, data: Any = None) -> None:
        super().__init__(data)
        names = [column["name"] for column in version.columns if column["type"] != "image"]
        column = cast(forms.ChoiceField, self.fields["column"])
        column.choices = [(name, name) for name in names]

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("action") == "set" and not cleaned.get("column"):
            self.add_error("column", "Choose the column to set.")
        return cleaned

    def to_edit(self, rows: list[int]) -> Edit:
        """Of a valid form. An empty value empties the cells."""
        fields = self.cleaned_data
        if fields["action"] == "drop":
            return {"op": "drop_rows", "rows": rows}
        value = fields["value"] if fields["value"].strip() else None
        return {"op": "set_cells", "column": fields["column"], "rows": rows, "value": value}

    def to_edit_of_matching(self, query: RowQuery) -> Edit:
        """The same of all rows that match a search and filters, however many."""
        edit = self.to_edit([])
        filters = [
            {"column": one.column, "operator": one.operator, "value": one.value}
            for one in query.filters
        ]
        matching: Edit = {"search": query.search, "filters": filters}
        if edit["op"] == "drop_rows":
            return {**matching, "op": "drop_matching"}
        return {**matching, "op": "set_matching", "column": edit["column"], "value": edit["value"]}


class RowsForm(forms.Form):
    """Sent by GET, so that what is shown has an address. A minus before `sort` turns it round."""

    q = forms.CharField(label="Search", required=False, max_length=500)
    column = forms.ChoiceField(
        label="Column", required=False, widget=forms.Select(attrs={"class": "select"})
    )
    operator = forms.ChoiceField(
        label="Condition",
        choices=lazy_choices(OPERATOR_WORDS),
        required=False,
        widget=forms.Select(attrs={"class": "select"}),
    )
    value = forms.CharField(label="Value", required=False, max_length=500)
    sort = forms.CharField(required=False, max_length=300)
    page = forms.IntegerField(required=False, min_value=1)

    def __init__(self, version: DatasetVersion, data: Any) -> None:
        super().__init__(data)
        names = [(column["name"], column["name"]) for column in version.columns]
        columns = cast(forms.ChoiceField, self.fields["column"])
        columns.choices = [("", translated_lazy("Any column")), *names]

    def to_query(self) -> RowQuery:
        """Of a valid form."""
        fields = self.cleaned_data
        operator = cast(Operator, fields["operator"] or "is")
        filters = []
        if fields["column"] and (fields["value"] or operator in NEEDS_NO_VALUE):
            filters = [RowFilter(column=fields["column"], operator=operator, value=fields["value"])]
        return RowQuery(
            page=fields["page"] or 1,
            search=fields["q"],
            filters=filters,
            sort=fields["sort"].removeprefix("-"),
            is_descending=fields["sort"].startswith("-"),
        )
