"""Recognises files that are not read, by their first bytes or lines, and says what to do instead.

Without this, most of them would be read as a meaningless table of text.
"""

import re
from collections.abc import Callable

# One compressed file; what it holds is read as if it were uploaded by itself.
COMPRESSED_SIGNATURES = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
)
SINGLE_IMAGE = "one picture. Zip many of them, in one folder for each label"
R_DATA = "data of R (.rds, .RData). Save the table as CSV or Parquet"
# The first bytes of refused files, and the name of each format with advice for the refusal.
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
    (b"HEADER RECORD*******LIB", "a SAS transport file (.xpt). Save it as CSV or .xlsx"),
    (b"MATLAB 5.0 MAT-file", "a file of MATLAB (.mat). Save its table as CSV"),
    (b"RDX2\n", R_DATA), (b"RDX3\n", R_DATA), (b"X\n\0\0\0", R_DATA),
    (b"\x04\x22\x4d\x18", "a file packed with LZ4. Unpack it, or pack it as .gz, .zst or .zip"),
    (b"LZIP", "a file packed with lzip. Unpack it, or pack it as .gz, .xz or .zip"),
    (b"\x1f\x9d", "a file packed with compress (.Z). Unpack it, or pack it as .gz or .zip"),
    (b"Obj\x01", "an Avro file. Save it as Parquet or JSON Lines"),
]  # fmt: skip
# The same for text files: people save web pages and reports with a table's suffix.
SAVE_AS_CSV = "Open it in a spreadsheet program and save it as CSV or .xlsx"
ROWS_AS_CSV = "Make a table of it, one row for each entry, and save it as CSV"
UNSUPPORTED_BEGINNINGS = [
    (("<!doctype html", "<html", "<head", "<table"), f"a web page (HTML). {SAVE_AS_CSV}"),
    (("<?xml", "<svg", "<rss"), f"an XML document. {SAVE_AS_CSV}"),
    (("webvtt",), f"subtitles (WebVTT). {ROWS_AS_CSV}"),
    (("ty  - ",), f"a list of references (RIS). {ROWS_AS_CSV}"),
    (("id;p",), f"a workbook of the kind SYLK. {SAVE_AS_CSV}"),
    (("begin:vcalendar",), f"a calendar (iCalendar). {ROWS_AS_CSV}"),
    (("begin:vcard",), f"a file of contacts (vCard). {ROWS_AS_CSV}"),
    (("{\\rtf",), "a document of the kind RTF. Save its table as CSV"),
    (("\\documentclass", "\\begin{tab", "\\begin{long"), f"a text of LaTeX. {ROWS_AS_CSV}"),
    (("\x1e{", "\x1e["), "a sequence of JSON texts. Save it as JSON Lines, one object a line"),
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
# Patterns of lines that repeat in refused text files.
CHAT_LINE = re.compile(
    r"\u200e?\[?\d{1,4}[./-]\d{1,2}[./-]\d{1,4},? \d{1,2}[:.]\d{2}([:.]\d{2})?(\s?[ap]\.?m\.?)?"
    r"(\]| -) \S[^:]*: .*",
    re.IGNORECASE,
)
# The line above a message, as WeChat and QQ write it.
SENDER_LINE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2} \d{1,2}:\d\d(:\d\d)?\s+[^,;\t|]{1,40}")
SUBTITLE_LINE = re.compile(r"\d\d:\d\d:\d\d[,.]\d{3} --> \d\d:\d\d:\d\d[,.]\d{3}.*")
TAGGED_LINE = re.compile(r"\S+(\s\S+)*\s([BI]-[A-Z][\w-]*|O)")
SECTION_LINE, SETTING_LINE = re.compile(r"\[\[?[\w .:/@-]+\]\]?"), re.compile(r"[\w.-]+\s?=.*")
MAIL_LINE = re.compile(r"From \S+@\S+ +\w{3} \w{3} .*")
# One mail, which begins with its headers; long ones go on in an indented line.
MAIL_HEADER = re.compile(r"[A-Z][\w-]*: .*")
MAIL_NAMES = (
    "from", "to", "subject", "date", "received", "delivered-to", "return-path", "message-id",
    "mime-version", "content-type",
)  # fmt: skip
MIN_MAIL_NAMES = 3
ANNOTATION_LINE = re.compile(r"(T\d+\t\S+ \d+ \d+(;\d+ \d+)*\t.*|[REAM*]\d*\t\S+ .*|#\d+\t.*)")
PARSED_LINE = re.compile(r"\d+(-\d+|\.\d+)?\t([^\t]+\t){6}([A-Za-z:]+|_)\t[^\t]+\t[^\t]+")
TRANSLATION_LINE = re.compile(r'msg(id|str)(\[\d\])? ".*"')
REFERENCE_LINE = re.compile(r"@[A-Za-z]+\s*\{\s*[\w:.-]+,")
LDAP_LINE = re.compile(r"dn: \w+=.*")
# A comma before milliseconds, as Python writes them, is no mark between columns.
PROGRAM_LINE = re.compile(
    r"\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([,.]\d{3,6})?\]?\s.*"
    r"\b(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)\b[\s\]:].*"
)
PYTHON_LINE = re.compile(r"\{\s*'.*'\s*:.*\},?|\('.*'\),?")
SPEAKER_LINE = re.compile(
    r"(q|a|question|answer|customer|client|agent|support|user|bot|assistant|human|ai|interviewer"
    r"|interviewee|speaker \d|客服|客户|用户|机器人|问|答)\s?[:：].*",
    re.IGNORECASE,
)
SERVER_LINE = re.compile(
    r"\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] \"[^\"]*\" \d{3} .*"
)


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
    """What a text file that starts with this text is; "" where it may be a table. `text` has no
    blanks at its beginning."""
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
    """What the file is by the form of its lines, such as a chat or subtitles; "" for any other."""
    if len(lines) < MIN_LINES:
        return ""
    return next((what for matches, what in LINE_FORMATS if matches(lines)), "")


def _share(pattern: re.Pattern[str], lines: list[str]) -> float:
    return sum(map(bool, map(pattern.fullmatch, lines))) / len(lines)


def _are_subtitles(lines: list[str]) -> bool:
    timings = sum(SUBTITLE_LINE.fullmatch(line) is not None for line in lines)
    return lines[0] == "1" and timings >= len(lines) // 4


def _are_tagged_words(lines: list[str]) -> bool:
    tags = [match[2] for line in lines if (match := TAGGED_LINE.fullmatch(line))]
    return len(tags) >= len(lines) - 1 and {"O"} < set(tags)


def _is_mail(lines: list[str]) -> bool:
    if not MAIL_HEADER.fullmatch(lines[0]):
        return False
    names = {line.partition(":")[0].casefold() for line in lines if MAIL_HEADER.fullmatch(line)}
    return len(names & set(MAIL_NAMES)) >= MIN_MAIL_NAMES


def _are_turns(lines: list[str]) -> bool:
    speakers = [match[1].casefold() for line in lines if (match := SPEAKER_LINE.fullmatch(line))]
    return len(speakers) > 0.9 * len(lines) and len(set(speakers)) > 1


def _are_settings(lines: list[str]) -> bool:
    settings, sections = _share(SETTING_LINE, lines), _share(SECTION_LINE, lines)
    return (
        SECTION_LINE.fullmatch(lines[0]) is not None
        and settings > 0
        and settings + sections > 0.999
    )


LINE_FORMATS: tuple[tuple[Callable[[list[str]], bool], str], ...] = (
    (lambda lines: _share(CHAT_LINE, lines) > 0.5, f"a chat as WhatsApp exports it. {ROWS_AS_CSV}"),
    (
        lambda lines: (
            SENDER_LINE.fullmatch(lines[0]) is not None and 0.3 <= _share(SENDER_LINE, lines) <= 0.7
        ),
        f"a chat as WeChat and QQ export it. {ROWS_AS_CSV}",
    ),
    (_are_subtitles, f"subtitles (SubRip). {ROWS_AS_CSV}"),
    (_are_tagged_words, "a list of tagged words (CoNLL). Labels of words cannot be learnt here"),
    (
        lambda lines: _share(PARSED_LINE, lines) >= 0.5,
        "sentences with the grammar of each word (CoNLL-U). Words cannot be learnt here",
    ),
    (
        lambda lines: MAIL_LINE.fullmatch(lines[0]) is not None,
        f"a mailbox (mbox). {ROWS_AS_CSV}",
    ),
    (_is_mail, f"an e-mail. {ROWS_AS_CSV}"),
    (
        lambda lines: all(map(ANNOTATION_LINE.fullmatch, lines[:-1])),
        "annotations of brat, which mark places in a text. Places cannot be learnt here",
    ),
    (lambda lines: _share(SERVER_LINE, lines) > 0.9, f"the log of a web server. {ROWS_AS_CSV}"),
    (
        lambda lines: _share(TRANSLATION_LINE, lines) >= 0.3,
        f"a catalogue of translations (gettext). {ROWS_AS_CSV}",
    ),
    (
        lambda lines: REFERENCE_LINE.fullmatch(lines[0]) is not None,
        f"a list of references (BibTeX). {ROWS_AS_CSV}",
    ),
    (
        lambda lines: LDAP_LINE.fullmatch(lines[0]) is not None,
        f"an export of a directory (LDIF). {ROWS_AS_CSV}",
    ),
    (lambda lines: _share(PROGRAM_LINE, lines) > 0.9, f"the log of a program. {ROWS_AS_CSV}"),
    (
        lambda lines: _share(PYTHON_LINE, lines) == 1,
        "a file of Python's dictionaries or tuples. Save them as JSON Lines, by json.dumps",
    ),
    (
        _are_turns,
        "a conversation, or questions and answers, as text. Make a table of it, one row for each"
        " question with its answer, and save it as CSV",
    ),
    (_are_settings, f"a file of settings (INI or TOML). {ROWS_AS_CSV}"),
)
