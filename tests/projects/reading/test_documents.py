"""Documents become passages: heading, text, page."""

import io

import docx
import pytest
from pypdf import PdfReader, PdfWriter

from projects.reading.documents import MAX_PASSAGE_CHARS, Block, join_blocks
from projects.reading.results import UnreadableFile


def write_pdf(pages: list[str]) -> bytes:
    """Pages of one line of text each, as the smallest PDF writers make them."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET" if text else ""
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        font = "<< /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R"
            f" /Resources << /Font {font} >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    body, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF"
    return (body + end + trailer).encode()


def write_docx() -> bytes:
    document = docx.Document()
    document.add_heading("Returns", 1)
    document.add_paragraph("Orders can be returned within 30 days.")
    document.add_heading("Shipping", 2)
    document.add_paragraph("We pay for the label.")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Europe", "4.95"
    sink = io.BytesIO()
    document.save(sink)
    return sink.getvalue()


MARKDOWN = "# Returns\n\nOrders can be\nreturned.\n\n## 运费\n\n- 由我们承担。\n\n```\ncode\n```\n"


def passages_of(table) -> list[tuple[str, ...]]:
    import pyarrow.parquet as pq

    read = pq.read_table(table.data).to_pylist()
    return [(row["heading"], row["text"], row["page"]) for row in read]


def test_a_pdf_is_read_by_page(read):
    table = read(write_pdf(["Orders can be returned within 30 days.", "", "Gifts too."]), "f.pdf")
    assert passages_of(table) == [
        (None, "Orders can be returned within 30 days.", 1),
        (None, "Gifts too.", 3),
    ]
    assert "Page 2 holds no text." in [issue["sentence"] for issue in table.issues]


def test_a_word_document_is_read_under_its_headings(read):
    assert passages_of(read(write_docx(), "f.docx")) == [
        ("Returns", "Orders can be returned within 30 days.", None),
        ("Returns › Shipping", "We pay for the label.\nEurope | 4.95", None),
    ]


def test_markdown_is_read_under_its_headings(read):
    assert passages_of(read(MARKDOWN.encode(), "f.md")) == [
        ("Returns", "Orders can be returned.", None),
        ("Returns › 运费", "由我们承担。\ncode", None),
    ]


def protected() -> bytes:
    writer = PdfWriter()
    for page in PdfReader(io.BytesIO(write_pdf(["secret"]))).pages:
        writer.add_page(page)
    writer.encrypt("password", algorithm="RC4-128")
    sink = io.BytesIO()
    writer.write(sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (write_pdf([""]), "scan.pdf", "no_text"),
        (b"%PDF-1.7 and nothing more", "x.pdf", "bad_document"),
        (write_pdf(["a"])[:200], "cut.pdf", "bad_document"),
        (protected(), "x.pdf", "protected_document"),
        (write_docx()[:-300], "cut.docx", "bad_document"),
        (b"---\n", "x.md", "no_text"),
    ],
    ids=["scan", "junk", "cut", "protected", "cut-docx", "empty-md"],
)
def test_what_holds_no_readable_text_is_refused_by_a_sentence(read, content, name, code):
    with pytest.raises(UnreadableFile) as refusal:
        read(content, name)
    assert refusal.value.code in {code, "bad_archive"}
    assert refusal.value.sentence.endswith((".", ")."))


def test_long_texts_are_cut_where_sentences_end():
    blocks = list(join_blocks([Block("h", "A sentence of some words. " * 200)]))
    assert all(len(block.text) <= MAX_PASSAGE_CHARS for block in blocks)
    assert all(block.text.endswith(".") for block in blocks)
    assert sum(block.text.count("sentence") for block in blocks) == 200
