"""Numbers with more digits than a float keeps come out exactly, or are asked about, whatever the
format; and stay so in exports and edits."""

import csv
import io
import json
import zipfile
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projects.errors import BadEdit
from projects.importing import imports
from projects.importing.editing import edit_version
from projects.importing.uploads import reimport
from projects.reading.columns.precision import keeps_digits

pytestmark = pytest.mark.django_db
IDS = [12345678901234567 + n for n in range(40)]
FRACTIONS = [f"0.1234567890123456{n}1" for n in range(10, 50)]
AMOUNTS = [f"1234567890123456.{n:02}" for n in range(1, 41)]
PRINTED = [0.1 * n + 0.2 for n in range(40)]


def delimited(cells, separator=","):
    lines = (f"x{n}{separator}{cell}{separator}{'ab'[n % 2]}" for n, cell in enumerate(cells))
    return "\n".join([separator.join(["x", "v", "kind"]), *lines]).encode()


def json_lines(cells):
    lines = (
        f'{{"x": "x{n}", "v": {cell}, "kind": "{"ab"[n % 2]}"}}' for n, cell in enumerate(cells)
    )
    return "\n".join(lines).encode()


def parquet(cells):
    sink = io.BytesIO()
    kinds = ["ab"[n % 2] for n in range(len(cells))]
    pq.write_table(pa.table({"x": [f"x{n}" for n in range(40)], "v": cells, "kind": kinds}), sink)
    return sink.getvalue()


def excel(cells):
    """A workbook whose numbers are written with all their digits, as some programs do."""
    book = openpyxl.Workbook()
    for row in [("x", "v", "kind"), *[(f"x{n}", 7000 + n, "ab"[n % 2]) for n in range(40)]]:
        book.active.append(row)
    sink = io.BytesIO()
    book.save(sink)
    with zipfile.ZipFile(sink) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    sheet = files["xl/worksheets/sheet1.xml"]
    for number, cell in enumerate(cells):
        sheet = sheet.replace(f"<v>{7000 + number}</v>".encode(), f"<v>{cell}</v>".encode())
    files["xl/worksheets/sheet1.xml"] = sheet
    return packed(files)


def open_document(cells):
    rows = "".join(
        f'<table:table-row><table:table-cell office:value-type="float" office:value="{cell}"/>'
        f'<table:table-cell office:value-type="string"><text:p>{"ab"[n % 2]}</text:p>'
        "</table:table-cell></table:table-row>"
        for n, cell in enumerate(cells)
    )
    names = "urn:oasis:names:tc:opendocument:xmlns"
    head = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{name}</text:p></table:table-cell>'
        for name in ("v", "kind")
    )
    content = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{names}:office:1.0"'
        f' xmlns:table="{names}:table:1.0" xmlns:text="{names}:text:1.0"><office:body>'
        '<office:spreadsheet><table:table table:name="A">'
        f"<table:table-row>{head}</table:table-row>{rows}"
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        f'<manifest:manifest xmlns:manifest="{names}:manifest:1.0"><manifest:file-entry'
        f' manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    )
    return packed({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest})


def packed(files):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def decimals(cells, digits, scale):
    return parquet(pa.array([Decimal(cell) for cell in cells], pa.decimal128(digits, scale)))


EXACT = {
    "ids in CSV": (delimited(IDS), "t.csv", [str(one) for one in IDS], False),
    "ids in Excel": (excel(IDS), "t.xlsx", [str(one) for one in IDS], False),
    "ids in OpenDocument": (open_document(IDS), "t.ods", [str(one) for one in IDS], False),
    "ids in JSON": (json_lines(IDS), "t.jsonl", IDS, False),
    "ids in Parquet": (parquet(IDS), "t.parquet", IDS, False),
    "ids beyond all": (parquet(pa.array([2**63 + n for n in range(40)], pa.uint64())), "t.parquet",
                       [str(2**63 + n) for n in range(40)], True),
    "fractions in CSV": (delimited(FRACTIONS), "t.csv", FRACTIONS, True),
    "fractions in Excel": (excel(FRACTIONS), "t.xlsx", FRACTIONS, True),
    "fractions in OpenDocument": (open_document(FRACTIONS), "t.ods", FRACTIONS, True),
    "fractions in JSON": (json_lines(FRACTIONS), "t.jsonl", FRACTIONS, True),
    "decimals": (decimals(AMOUNTS, 38, 9), "t.parquet",
                 [one.rstrip("0").rstrip(".") for one in AMOUNTS], True),
    "amounts in tabs": (delimited(AMOUNTS, "\t"), "t.tsv", AMOUNTS, True),
    "grouped amounts": (delimited([f'"12,345,678,901,234,{500 + n}"' for n in range(40)]), "t.csv",
                        [f"12,345,678,901,234,{500 + n}" for n in range(40)], True),
    "beyond any float": (delimited(["1.5e400", *["2.5"] * 39]), "t.csv",
                         ["1.5e400", *["2.5"] * 39], True),
}  # fmt: skip


@pytest.fixture
def cells_of(api, token):
    """The cells of v in an export over the API."""

    def export(version, file_format):
        url = f"/api/v1/datasets/{version.dataset_id}/export"
        return read(b"".join(api(token).get(url, {"file_format": file_format})), file_format)

    return export


def read(body, file_format):
    if file_format == "csv":
        return [row["v"] for row in csv.DictReader(io.StringIO(body.decode("utf-8-sig")))]
    if file_format == "jsonl":
        return [json.loads(line)["v"] for line in body.decode().splitlines()]
    return pq.read_table(io.BytesIO(body))["v"].to_pylist()


@pytest.mark.parametrize("kind", EXACT)
def test_long_numbers_keep_every_digit(kind, bring_in, cells_of):
    content, name, values, is_asked = EXACT[kind]
    version = bring_in(content, name)
    asked = [one["code"] for one in version.profile.get("questions", []) if one["column"] == "v"]
    assert bool(asked) == is_asked
    for file_format in ("csv", "jsonl", "parquet"):
        found = cells_of(version, file_format)
        assert found == ([str(one) for one in values] if file_format == "csv" else values)


@pytest.mark.parametrize(
    "content",
    [
        delimited([repr(one) for one in PRINTED]),
        delimited([f"{one:.18e}" for one in PRINTED]),
        delimited([f"{one:.17g}" for one in PRINTED], ";"),
        delimited([f"{one:.20f}" for one in PRINTED]),
    ],
)
def test_what_programs_print_of_a_float_is_that_float(content, bring_in, cells_of):
    assert cells_of(bring_in(content), "parquet") == PRINTED


def test_decimals_that_fit_are_numbers(bring_in, cells_of):
    version = bring_in(decimals([f"12.{n:03}" for n in range(40)], 38, 18), "t.parquet")
    assert cells_of(version, "parquet") == [12 + n / 1000 for n in range(40)]


@pytest.mark.parametrize("kind", ["fractions in CSV", "decimals"])
def test_who_says_so_gets_rounded_numbers(kind, bring_in, cells_of, alice):
    content, name, values, _ = EXACT[kind]
    version = reimport(bring_in(content, name), {"columns": {"v": "number:1234.5"}}, alice)
    imports.import_version(version.pk)
    version.refresh_from_db()
    assert cells_of(version, "parquet") == [float(one) for one in values]
    assert any("rounded" in issue["sentence"] for issue in version.issues)


def test_what_a_workbook_lost_before_the_upload_is_told(bring_in):
    book = openpyxl.Workbook()
    for row in [("x", "card"), *((f"x{n}", 4111111111111110 + 10 * n) for n in range(40))]:
        book.active.append(row)
    sink = io.BytesIO()
    book.save(sink)
    version = bring_in(sink.getvalue(), "t.xlsx")
    assert any(issue["code"] == "shortened_numbers" for issue in version.issues)


@pytest.mark.parametrize("value", ["1.5", "0x10", "1e3", "9" * 30, "1,5"])
def test_an_edit_changes_no_number_on_its_way(value, bring_in, alice):
    version = bring_in(b"n,x\n1,a\n2,b\n3,c\n")
    with pytest.raises(BadEdit):
        edit_version(
            version, [{"op": "set_cells", "column": "n", "rows": [0], "value": value}], alice
        )


@pytest.mark.parametrize("value", ["0.12345678901234567890", "1e400", "many"])
def test_an_edit_is_refused_that_a_float_would_round(value, bring_in, alice):
    version = bring_in(b"n,x\n1.5,a\n2.5,b\n3.5,c\n")
    with pytest.raises(BadEdit):
        edit_version(
            version, [{"op": "set_cells", "column": "n", "rows": [0], "value": value}], alice
        )


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("0.1", True),
        ("123456789012345", True),
        ("0.30000000000000004", True),
        ("5e-324", True),
        ("1.7976931348623157e+308", True),
        ("1.7976931348623159e+309", False),
        ("1e-400", False),
        ("0.0000", True),
        ("12345678901234567", False),
        ("12345678901234500000", True),
        ("0.1234567890123456789012345678", False),
    ],
)
def test_digits_are_kept_or_not(text, is_kept):
    assert keeps_digits(text) == is_kept
