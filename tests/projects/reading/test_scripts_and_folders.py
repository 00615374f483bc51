"""Archives of social networks, folders of texts, prompts as one text, labels of words, and files
that would be read as a strange table of text. Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import datetime
import gzip
import io
import json
import zipfile

import pyarrow as pa
import pytest

from tests.projects.importing.test_files_of_many_hands import lines, three
from tests.projects.importing.test_further_kinds_of_files import parquet
from tests.projects.importing.test_kinds_of_files import (
    EVEN,
    LABELS,
    TEXTS,
    Expected,
    import_and_check,
    table,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
READ = Expected(rows=36, labels=EVEN, said="JavaScript before the first bracket")
TWEETS = [
    {"tweet": {"id_str": str(10**18 + n), "full_text": text, "favorite_count": str(n)}}
    for n, text in enumerate(TEXTS)
]
WORDS = "Sentence,Word,POS,Tag\n" + "\n".join(
    f"S{n // 4},{word},NN,{tag}"
    for n in range(80)
    for word, tag in [[("Ann", "B-per"), ("sees", "O"), ("New", "B-geo"), ("York", "I-geo")][n % 4]]
)
PREFACE = "Below is an instruction that describes a task.\n\n"


def archive(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return packed.getvalue()


def folders(name, body="{label} {text}"):
    """A text of its own in each file, its label the folder's name."""
    return archive(
        {
            name.format(label=label, n=n): body.format(label=label, text=text)
            for n, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))
        }
    )


KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    "tweets": ("window.YTD.tweets.part0 = " + json.dumps(TWEETS, indent=2), "tweets.js", Expected(rows=36, cells={"tweet.full_text": TEXTS[:2], "tweet.id_str": ["1000000000000000000"]}, said="window.YTD.tweets.part0 =")),
    "a constant": (f"const rows = {json.dumps(ROWS)};\n", "rows.js", READ),
    "a module": (f"export default {json.dumps(ROWS)}\n", "rows.mjs", READ),
    "a callback": (f"show.rows({json.dumps(ROWS)});", "rows.json", READ),
    "a program": ("const rows = load();\nfor (const row of rows) {\n  show(row.text, row.label);\n}\n" * 9, "rows.js", Expected(unsaid="JavaScript before")),
    "folders of reviews": (folders("reviews/train/{label}/{n}_7.txt"), "reviews.zip", Expected(rows=36, labels=EVEN, task="text-classification", target="label", said="its folder is its label")),
    "folders of news groups": (folders("news/{label}/{n}", "From: a@b.example\nSubject: {text}\n\n{label} {text}"), "news.zip", Expected(rows=36, labels=EVEN, cells={"file": ["news/" + LABELS[0] + "/0"]})),
    "splits above labels": (archive({f"{'train' if n % 3 else 'test'}/{label}/{n}.txt": text for n, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))}), "t.zip", Expected(rows=36, types={"split": "text", "label": "text"})),
    "folders of tables": (archive({f"{year}/part.txt": table() for year in range(2010, 2022)}), "t.zip", Expected(unsaid="its folder is its label", said="have the same columns")),
    "Alpaca's prompts": (lines({"text": f"{PREFACE}### Instruction:\n{text}\n\n### Response:\n{label}"} for text, label in zip(TEXTS, LABELS, strict=True)), "t.jsonl", Expected(rows=36, task="text-generation")),
    "Llama's prompts": (lines({"text": f"<s>[INST] <<SYS>>\nBe kind\n<</SYS>>\n\n{text} [/INST] {label} </s>"} for text, label in zip(TEXTS, LABELS, strict=True)), "t.jsonl", Expected(rows=36, task="text-generation")),
    "words with labels": (WORDS, "ner.csv", Expected(rows=80, said="Cells of Tag are labels of words")),
    "lists of labels of words": (lines({"tokens": ["Ann", "sees", str(n)], "ner_tags": [1, 0, 0]} for n in range(36)), "t.jsonl", Expected(said="Cells of ner_tags are labels of words")),
    "a label such as B-plan": (table(labels=[["B-plan", "A-plan", "O"][n % 3] for n in range(36)]), "t.csv", Expected(rows=36, target="label", unsaid="labels of words")),
    "spans in Parquet": (parquet(x=TEXTS, v=[datetime.timedelta(minutes=n) for n in range(36)]), "t.parquet", Expected(types={"v": "integer"}, cells={"v": [0, 60_000_000]}, said="v holds lengths of time, counted in µs")),
    "numbers below a limit": (three(["<5" if n % 9 == 0 else n for n in range(40)]), "t.csv", Expected(types={"v": "text"}, said="v is read as text because of cells such as '<5' (5 of 40)")),
    "codes, mostly digits": (three([f"A/5 {n}" if n % 9 == 0 else n for n in range(400)]), "t.csv", Expected(types={"v": "text"}, unsaid="is read as text because")),
    "sizes of shoes and shirts": (three(["XL" if n % 9 == 0 else 36 + n % 9 for n in range(90)]), "t.csv", Expected(types={"v": "text"}, unsaid="is read as text because")),
    "spans of ISO 8601": (three(["PT1H30M", "PT45S", "P1DT2M", "PT0.5S"] * 10), "t.csv", Expected(types={"v": "text"}, asked=("v",))),
    "words of P and T": (three(["P", "PT", "P1"] * 10), "t.csv", Expected(types={"v": "text"}, unasked=("v",))),
    "LZ4": (pa.compress(table().encode(), codec="lz4", asbytes=True), "t.csv.lz4", Expected(refused="LZ4")),
    "R": (gzip.compress(b"RDX3\nX\n\x00\x00\x00\x03" + bytes(90)), "t.RData", Expected(refused="data of R")),
    "one object of R": (gzip.compress(b"X\n\x00\x00\x00\x03\x00\x04\x02\x00" + bytes(90)), "t.rds", Expected(refused="data of R")),
    "SAS transport": ("HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!" + "0" * 30 + " " * 200, "t.xpt", Expected(refused="SAS transport")),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + b" " * 86 + bytes(90), "t.mat", Expected(refused="MATLAB")),
    "LaTeX": ("\\begin{tabular}{ll}\ntext & label \\\\\n" + "a & b \\\\\n" * 20, "t.tex", Expected(refused="LaTeX")),
    "a sequence of JSON": ("".join("\x1e" + json.dumps(row) + "\n" for row in ROWS), "t.json", Expected(refused="sequence of JSON")),
    "half a Word document": (archive({"[Content_Types].xml": "<Types/>", "word/document.xml": "<w:document/>"}), "t.docx", Expected(refused="damaged")),
    "a name that is a value": ("Day,Rented,Hour,Holiday,Season\n" + "\n".join(f"{n},{n * 7},{n % 24},{'Holiday' if n % 5 == 0 else 'No Holiday'},{'dry' if n % 3 else 'wet'}" for n in range(60)), "t.csv", Expected(rows=60, types={"Rented": "integer", "Holiday": "text"}, unasked=("",))),
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = (
    "tweets",
    "folders of reviews",
    "Alpaca's prompts",
    "words with labels",
    "R",
    "a name that is a value",
)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_such_a_file_comes_out_right_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
