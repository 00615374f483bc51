"""CSV and its relatives, as they really come."""

import codecs
import csv
import random

import pytest

from projects.reading.results import UnreadableFile
from tests.projects.conftest import names_of, rows_of, types_of

SIMPLE = "name,label\nred car,0\nblue car,1\n"


def test_a_byte_order_mark_is_not_part_of_the_first_name(read):
    table = read(codecs.BOM_UTF8 + SIMPLE.encode())
    assert names_of(table) == ["name", "label"]
    assert table.dialect["encoding"] == "utf-8"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_separates_rows(read, end):
    table = read(SIMPLE.replace("\n", end).encode())
    assert rows_of(table) == [["red car", 0], ["blue car", 1]]
    assert table.dialect["line_ends"] == {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}[end]


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("ville,pays\nOrléans,France\nBesançon,France\nZürich,Suisse\n", "cp1252", "cp1252"),
        ("ville,pays\nOrléans,France\nBesançon,France\n", "utf-16", "utf-16"),
        ("ville,pays\nOrléans,France\nBesançon,France\n", "utf-16-le", "utf-16-le"),
        ("text,label\nこの商品はとても良いです,良い\n配送が遅い,悪い\n", "cp932", "cp932"),
        ("文本,标签\n这个产品非常好用,好评\n快递太慢了我很失望,差评\n", "gbk", "gb18030"),
        ("текст,метка\nочень хороший товар,хорошо\nплохая доставка,плохо\n", "cp1251", "cp1251"),
        ("text,label\n이 제품은 정말 좋아요,긍정\n배송이 너무 느려요,부정\n", "euc_kr", "euc_kr"),
        ("text,label\nこの商品はとても良いです,良い\n", "utf-8", "utf-8"),
    ],
)
def test_the_encoding_is_found_and_shown(read, text, encoding, shown):
    table = read(text.encode(encoding))
    assert table.dialect["encoding"] == shown
    assert rows_of(table) == [line.split(",") for line in text.splitlines()[1:]]


def test_a_wrong_guess_can_be_overruled(read):
    content = "a,b\nПривет,x\n".encode("koi8_r")
    assert rows_of(read(content, encoding="koi8_r")) == [["Привет", "x"]]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_the_separator_is_found(read, delimiter):
    table = read(SIMPLE.replace(",", delimiter).encode())
    assert table.dialect["delimiter"] == delimiter
    assert rows_of(table) == [["red car", 0], ["blue car", 1]]


def test_decimal_commas_between_semicolons_are_numbers(read):
    table = read(b"a;b;c\n1,5;2,25;x\n3;4,0;y\n")
    assert types_of(table) == ["number", "number", "text"]
    assert rows_of(table) == [[1.5, 2.25, "x"], [3.0, 4.0, "y"]]


def test_quoted_line_breaks_and_separators_stay_inside_their_cell(read):
    table = read(b'text,label\n"one\ntwo, three\r\nfour",x\n"say ""hi""",y\n')
    assert rows_of(table) == [["one\ntwo, three\r\nfour", "x"], ['say "hi"', "y"]]


@pytest.mark.parametrize("content", [b"", b"\n\n \n", codecs.BOM_UTF8, b"\0\0\0"])
def test_an_empty_file_is_refused_with_a_sentence(read, content):
    with pytest.raises(UnreadableFile) as refusal:
        read(content)
    assert refusal.value.sentence.endswith(".")


def test_a_header_without_rows_says_so(read):
    with pytest.raises(UnreadableFile, match="2 columns but no rows"):
        read(b"text,label\n")


def test_nul_bytes_are_taken_out_and_told(read):
    table = read(b"text,label\na\0b,x\nc,y\n")
    assert rows_of(table) == [["ab", "x"], ["c", "y"]]
    assert [issue["code"] for issue in table.issues] == ["zero_bytes"]


def test_one_column_is_a_table_too(read):
    table = read(b"text\nhello, you there; fine\nbye, then\nso, what, now\n")
    assert rows_of(table) == [["hello, you there; fine"], ["bye, then"], ["so, what, now"]]


def test_names_are_trimmed_filled_and_made_unique_and_the_original_is_kept(read):
    table = read(b" text ,Text,,text\na,b,c,d\n")
    assert names_of(table) == ["text", "Text_2", "column_3", "text_3"]
    assert [column.original_name for column in table.columns][1] == "Text"


def test_ragged_rows_are_rejected_with_line_and_reason(read):
    table = read(b"a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12\n")
    assert rows_of(table) == [[1, 2, 3], [10, 11, 12]]
    with open(table.rejects, encoding="utf-8-sig", newline="") as file:
        rejected = list(csv.reader(file))
    assert rejected[1:] == [
        ["3", "", "The row has 2 values where the table has 3 columns.", "4", "5"],
        ["4", "", "The row has 4 values where the table has 3 columns.", "6", "7", "8", "9"],
    ]
    assert table.rejected_rows == 2


def test_short_rows_can_be_filled_by_choice(read):
    table = read(b"a,b,c\n1,2,3\n4,5\n", short_rows="fill")
    assert rows_of(table) == [[1, 2, 3], [4, 5, None]]


def test_rejected_cells_run_no_formula_in_a_spreadsheet(read):
    table = read(b'a,b\n1,2\n=HYPERLINK("x"),@y,-1\n')
    text = table.rejects.read_text("utf-8-sig")
    assert "'=HYPERLINK" in text
    assert "'@y" in text
    assert "'-1" in text


def test_a_stray_quote_costs_its_own_line_and_no_other(read):
    lines = [f"text {n},x" for n in range(500)]
    lines[100] = '"unclosed text,x'
    table = read(("text,label\n" + "\n".join(lines) + "\n").encode())
    assert table.rows == 499
    assert [issue["line"] for issue in table.issues if issue["code"] == "rejected_row"] == [102]


def test_quotes_in_tab_separated_prose_glue_no_lines_together(read):
    table = read(b'text\tlabel\n"Great" movie\t1\nI said "no\t0\n"yes" and "no"\t1\nfine\t0\n')
    assert table.rows == 4
    assert rows_of(table)[1] == ['I said "no', 0]


def test_a_file_of_nothing_but_quotes_ends(read):
    content = b"a,b\n" + b'"x,y\n' * 20_000
    with pytest.raises(UnreadableFile):
        read(content)


def test_lines_above_the_header_are_left_out_and_told(read):
    table = read(b"Report 2026,,\n,,\nname,age,city\nAnn,31,Rome\nBob,42,Oslo\n")
    assert names_of(table) == ["name", "age", "city"]
    assert table.dialect["skip_lines"] == 2
    assert "preamble" in [issue["code"] for issue in table.issues]


def test_a_missing_header_is_noticed(read):
    table = read(b"good,1\nbad,0\nfine,1\nawful,0\n")
    assert names_of(table) == ["column_1", "column_2"]
    assert table.rows == 4


def test_a_first_line_of_labels_is_data(read):
    lines = [f"some text number {n},{'positive' if n % 2 else 'negative'}" for n in range(20)]
    assert read("\n".join(lines).encode()).rows == 20


def test_header_lines_can_be_chosen(read):
    content = b"Sales,,Costs,\nQ1,Q2,Q1,Q2\n1,2,3,4\n"
    table = read(content, header_rows=2, skip_lines=0)
    assert names_of(table) == ["Sales Q1", "Sales Q2", "Costs Q1", "Costs Q2"]
    assert rows_of(table) == [[1, 2, 3, 4]]


def test_types_are_inferred_carefully(read):
    header = "zip,flag,count,price,day,when,card,mixed,gap,european_day"
    rows = [
        "01234,0,10,1.5,2026-01-31,2026-01-31 10:00:00,4111111111111111,1,5,31/01/2026",
        "98765,1,-3,2e3,2026-02-28,2026-02-28T11:30:00,5500000000000004,x,N/A,28/02/2026",
    ]
    table = read("\n".join([header, *rows]).encode())
    assert types_of(table) == [
        "text", "integer", "integer", "number", "date", "datetime", "text", "text", "text",
        "date",
    ]  # fmt: skip
    assert rows_of(table)[0][0] == "01234"
    assert rows_of(table)[1][3] == 2000
    assert [(asked["column"], asked["code"]) for asked in table.questions] == [
        ("gap", "missing_markers")
    ]


def test_words_for_missing_among_many_numbers_are_named_and_counted(read):
    cells = [*map(str, range(40)), "N/A", "-", "N/A"]
    table = read("\n".join(["n,x", *[f"{cell},a" for cell in cells]]).encode())
    assert types_of(table) == ["integer", "text"]
    (issue,) = [issue for issue in table.issues if issue["code"] == "missing_words"]
    assert issue["sentence"].startswith("3 cells")


def test_a_masked_column_is_never_shown_in_a_question(read):
    upload = ("n,x\n" + "5,a\n" * 30 + "ann@b.io,c\n").encode()
    assert "ann@b.io" in str(read(upload).questions)
    masked = read(upload, mask=["n"])
    assert masked.questions == []
    assert "ann@b.io" not in str(masked.issues)


def test_a_chosen_reading_is_done(read):
    upload = b"n,x\n5,a\nN/A,b\n"
    table = read(upload, columns={"n": "number:1234.5+missing"})
    assert rows_of(table) == [[5, "a"], [None, "b"]]
    assert table.questions == []


def test_impossible_dates_leave_the_column_text(read):
    assert types_of(read(b"day,x\n2026-02-31,1\n2026-13-01,2\n")) == ["text", "integer"]


def test_a_cell_beyond_the_limit_is_rejected_not_cut(read):
    table = read(b"text,label\n" + b"x" * 1_200_000 + b",a\nfine,b\n")
    assert rows_of(table) == [["fine", "b"]]
    assert table.rejected_rows == 1


def test_a_line_without_end_is_refused(read):
    with pytest.raises(UnreadableFile, match="longer than"):
        read(b"a,b\n" + b"x" * 17_000_000)


def test_too_many_columns_are_refused(read):
    with pytest.raises(UnreadableFile, match="columns"):
        read(",".join(f"c{n}" for n in range(2_001)).encode() + b"\n" + b"1," * 2_000 + b"1\n")


@pytest.mark.slow
def test_random_bytes_never_crash_the_reader(read):
    draw = random.Random(7)
    sentences = []
    for size in (1, 7, 100, 3_000):
        for _ in range(15):
            content = bytes(draw.choice(b"a1,;\t\"'\n\r\\|\xff\x00\xe9") for _ in range(size))
            try:
                table = read(content)
            except UnreadableFile as refusal:
                sentences.append(refusal.sentence)
            else:
                assert table.rows > 0
    assert all(sentences)


def test_every_line_is_either_a_row_a_reject_or_told(read):
    draw = random.Random(11)
    lines = ["text,label"]
    for number in range(400):
        kind = draw.choice(["good", "good", "good", "short", "long", "blank"])
        text = f"t{number}"
        lines.append({"good": text + ",x", "short": text, "long": text + ",x,y", "blank": ""}[kind])
    table = read("\n".join(lines).encode(), short_rows="reject", delimiter=",")
    assert table.rows + table.rejected_rows == sum(bool(line) for line in lines[1:])
