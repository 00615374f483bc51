"""Files that are no tables of ours, by their first bytes or lines, and what to do with them.

Most would otherwise be read as a strange table of text.
"""

import re

# One compressed file; what it holds is read as if it were uploaded by itself.
COMPRESSED_SIGNATURES = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
)
SINGLE_IMAGE = "one picture. Zip many of them, in one folder for each label"
# What is refused by its first bytes, and as what it is named in the refusal.
UNSUPPORTED_SIGNATURES = [
    (b"7z\xbc\xaf", "a 7-Zip archive. Unpack it and upload the file inside"),
    (b"Rar!", "a RAR archive. Unpack it and upload the file inside"),
    (b"FEA1", "a Feather file of version 1. Save it as version 2"),
    (b"SQLite format 3", "a SQLite database. Export the table as CSV"),
    (b"\x89PNG", SINGLE_IMAGE),
    (b"\xff\xd8\xff", SINGLE_IMAGE),
    (b"GIF8", SINGLE_IMAGE),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x93NUMPY", "an array of numpy (.npy). Save the table as CSV or Parquet"),
    (b"\x89HDF", "an HDF5 file. Save the table as CSV or Parquet"),
    (b"$FL2", "an SPSS file (.sav). Save it as CSV or .xlsx"),
    (b"$FL3", "an SPSS file (.zsav). Save it as CSV or .xlsx"),
    (b"<stata_dta>", "a Stata file (.dta). Save it as CSV or .xlsx"),
    (bytes(12) + b"\xc2\xea\x81\x60", "a SAS file (.sas7bdat). Save it as CSV or .xlsx"),
    (b"Obj\x01", "an Avro file. Save it as Parquet or JSON Lines"),
]
# Of text files, the same. People save web pages and reports under the names of tables.
SAVE_AS_CSV = "Open it in a spreadsheet program and save it as CSV or .xlsx"
ROWS_AS_CSV = "Make a table of it, one row for each entry, and save it as CSV"
UNSUPPORTED_BEGINNINGS = [
    (("<!doctype html", "<html", "<head", "<table"), f"a web page (HTML). {SAVE_AS_CSV}"),
    (("<?xml", "<svg", "<rss"), f"an XML document. {SAVE_AS_CSV}"),
    (("webvtt",), f"subtitles (WebVTT). {ROWS_AS_CSV}"),
    (("begin:vcalendar",), f"a calendar (iCalendar). {ROWS_AS_CSV}"),
    (("begin:vcard",), f"a file of contacts (vCard). {ROWS_AS_CSV}"),
    (("{\\rtf",), "a document of the kind RTF. Save its table as CSV"),
]
YAML, SQL = "a YAML file. Save its rows as CSV or JSON", "an SQL script. Export the table as CSV"
UNSUPPORTED_SUFFIXES = {".yml": YAML, ".yaml": YAML, ".sql": SQL}
SIGNATURE_CHARS = 20
PICKLE = re.compile(rb"\x80[\x02-\x05]")
TAR_MARK, TAR_PLACE = b"ustar", 257
SQL_LINE = re.compile(r"(create table|insert into|drop table|-- \w+ (sql |database )?dump)\b")
LIBSVM_LINE = re.compile(r"[-+]?[0-9.]+(?:,[0-9.]+)*(?:\s+[0-9]+:[-+0-9.eE]+)+\s*(?:#.*)?")
LINES_LOOKED_AT = 20
MIN_LINES = 4
# Of text, by lines that come again and again.
CHAT_LINE = re.compile(
    r"\u200e?\[?\d{1,4}[./-]\d{1,2}[./-]\d{1,4},? \d{1,2}[:.]\d{2}([:.]\d{2})?(\s?[ap]\.?m\.?)?"
    r"(\]| -) \S[^:]*: .*",
    re.IGNORECASE,
)
SUBTITLE_LINE = re.compile(r"\d\d:\d\d:\d\d[,.]\d{3} --> \d\d:\d\d:\d\d[,.]\d{3}.*")
TAGGED_LINE = re.compile(r"\S+(\s\S+)*\s([BI]-[A-Z][\w-]*|O)")
SECTION_LINE, SETTING_LINE = re.compile(r"\[\[?[\w .:/@-]+\]\]?"), re.compile(r"[\w.-]+\s?=.*")
MAIL_LINE = re.compile(r"From \S+@\S+ +\w{3} \w{3} .*")


def find_refused_binary(start: bytes) -> str:
    """What a file that starts with these bytes is; "" where it may be a table of text."""
    for mark, what in UNSUPPORTED_SIGNATURES:
        if start.startswith(mark):
            return what
    if start.startswith(b"ORC") and b"\0" in start:
        return "an ORC file. Save it as Parquet"
    if PICKLE.match(start):
        return "a pickle of Python, which could run a program. Save the table as CSV or Parquet"
    if start[TAR_PLACE : TAR_PLACE + len(TAR_MARK)] == TAR_MARK:
        return "a tar archive. Upload the file inside"
    return ""


def find_refused_text(text: str, suffix: str) -> str:
    """The same of a file of text, without the blanks at its beginning."""
    for beginnings, what in UNSUPPORTED_BEGINNINGS:
        if text[:SIGNATURE_CHARS].lower().startswith(beginnings):
            return what
    if suffix in UNSUPPORTED_SUFFIXES:
        return UNSUPPORTED_SUFFIXES[suffix]
    lines = [line.strip() for line in text.splitlines()[:LINES_LOOKED_AT] if line.strip()]
    plain = [line.casefold() for line in lines if not line.startswith("%")]
    if plain and plain[0].startswith("@relation"):
        return "an ARFF file of Weka. Save it as CSV"
    if plain and SQL_LINE.match(plain[0]):
        return SQL
    if what := _find_refused_lines(lines):
        return what
    if len(lines) > 1 and all(map(LIBSVM_LINE.fullmatch, lines[:-1])):
        return "a file of LIBSVM (svmlight). Save it as CSV, a column for each number"
    return ""


def _find_refused_lines(lines: list[str]) -> str:
    """The same by what lines look like: chats of messengers, subtitles, settings, tagged words."""
    if len(lines) < MIN_LINES:
        return ""
    if sum(map(bool, map(CHAT_LINE.fullmatch, lines))) > len(lines) / 2:
        return f"a chat as WhatsApp exports it. {ROWS_AS_CSV}"
    if sum(map(bool, map(SUBTITLE_LINE.fullmatch, lines))) >= len(lines) // 4 and lines[0] == "1":
        return f"subtitles (SubRip). {ROWS_AS_CSV}"
    tags = [found[2] for line in lines if (found := TAGGED_LINE.fullmatch(line))]
    if len(tags) >= len(lines) - 1 and {"O"} < set(tags):
        return "a list of tagged words (CoNLL). Labels of words cannot be learnt here"
    if MAIL_LINE.fullmatch(lines[0]):
        return f"a mailbox (mbox). {ROWS_AS_CSV}"
    settings = sum(map(bool, map(SETTING_LINE.fullmatch, lines)))
    sections = sum(map(bool, map(SECTION_LINE.fullmatch, lines)))
    if SECTION_LINE.fullmatch(lines[0]) and settings and settings + sections == len(lines):
        return f"a file of settings (INI or TOML). {ROWS_AS_CSV}"
    return ""
