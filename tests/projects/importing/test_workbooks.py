"""Workbooks through the real import, where the upload carries no name of its own."""

import io
import zipfile

import openpyxl
import pytest

from projects.importing.imports import import_version
from projects.importing.uploads import receive_upload
from projects.models import DatasetVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def bring_in(project, alice):
    """The version that an upload becomes."""

    def upload(content: bytes, filename: str) -> DatasetVersion:
        received = receive_upload(project=project, filename=filename, chunks=[content], by=alice)
        import_version(received.version.pk)
        return DatasetVersion.objects.get(pk=received.version.pk)

    return upload


def workbook(**sheets: list[list]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


ROWS = [["text", "label", "n"], *[[f"question {n}", f"topic {n % 3}", n] for n in range(12)]]


@pytest.mark.parametrize("filename", ["book.xlsx", "book", "Mappe 1.XLSX", "data.bin"])
def test_a_workbook_is_read_by_its_content_whatever_it_is_called(bring_in, filename):
    version = bring_in(workbook(Sheet=ROWS), filename)
    assert (version.status, version.rows) == ("ready", 12)
    assert [column["type"] for column in version.columns] == ["text", "text", "integer"]


def test_the_largest_sheet_is_read_and_the_others_are_named(bring_in):
    version = bring_in(workbook(README=[["Exported by Kim"]], Data=ROWS), "b.xlsx")
    assert version.rows == 12
    assert "README" in next(i["sentence"] for i in version.issues if i["code"] == "other_sheets")


def test_sheets_with_the_same_columns_are_one_table(bring_in):
    version = bring_in(workbook(Train=ROWS, Test=[ROWS[0], *ROWS[1:5]]), "b.xlsx")
    assert version.rows == 16
    assert version.columns[-1]["name"] == "sheet"


def test_merged_cells_hold_their_value_in_every_row(bring_in):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Topic", "Message"])
    for number in range(6):
        sheet.append(["billing" if number == 0 else None, f"message {number}"])
    sheet.merge_cells("A2:A7")
    sink = io.BytesIO()
    book.save(sink)
    version = bring_in(sink.getvalue(), "merged.xlsx")
    assert version.profile["columns"][0]["missing"] == 0


def test_formulas_without_results_are_told(bring_in):
    rows = [[*row, "=LEN(A2)"] for row in ROWS]
    rows[0][-1] = "length"
    version = bring_in(workbook(Sheet=rows), "f.xlsx")
    (issue,) = [issue for issue in version.issues if issue["code"] == "unsaved_formulas"]
    assert issue["column"] == "length"


def test_an_open_document_is_read(bring_in):
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p>'
            "</table:table-cell>"
            for cell in row
        )
        + "</table:table-row>"
        for row in (["text", "label"], *[[f"question {n}", f"topic {n % 2}"] for n in range(6)])
    )
    content = (
        '<?xml version="1.0"?><office:document-content'
        ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
        ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
        ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
        f'<office:body><office:spreadsheet><table:table table:name="S">{cells}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    version = bring_in(sink.getvalue(), "table.ods")
    assert (version.status, version.rows) == ("ready", 6)


@pytest.mark.parametrize(
    "content",
    [b"\xd0\xcf\x11\xe0" + b"\0" * 2000, workbook(Sheet=ROWS)[:900]],
    ids=["xls", "xlsx cut off"],
)
def test_a_damaged_workbook_ends_with_a_sentence(bring_in, content):
    version = bring_in(content, "broken.xlsx")
    assert version.status == "failed"
    assert version.failure_sentence
