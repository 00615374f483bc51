"""Which columns teach what."""

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projects.profiling.table_profile import profile_table
from projects.reading.tables import connect_duckdb
from tests.projects.profiling.further_tables import FURTHER, MENDED
from tests.projects.profiling.kinds_of_targets import KINDS
from tests.projects.profiling.table_specs import write_table
from tests.projects.profiling.uploads import list_uploads


def suggested(table):
    return profile(table)["suggested"]


def profile(table):
    with connect_duckdb(table.data.parent) as connection:
        return profile_table(connection, table.data, [column.info for column in table.columns])


@pytest.mark.parametrize(
    ("path", "task", "texts", "target"),
    [
        ("banking77/train.csv", "text-classification", ["text"], "category"),
        ("sentiment_sentences/sentiment.csv", "text-classification", ["text"], "label"),
        ("sentiment_sentences/imdb_labelled.txt", "text-classification", ["column_1"], "column_2"),
        ("sft_chat/cdc_faq.csv", "text-generation", ["question"], "answer"),
        ("sft_chat/gsm8k_train_300.jsonl", "text-generation", ["prompt"], "completion"),
        ("sft_chat/seed_tasks_alpaca.json", "text-generation", ["instruction", "input"], "output"),
        ("sft_chat/toy_chat_fine_tuning.jsonl", "text-generation", ["messages"], None),
        ("adult_census/adult_6k.csv", "tabular-classification", [], "class"),
        ("german_credit/german_credit.csv", "tabular-classification", [], "credit_risk"),
        ("wine_quality/wine-quality.csv", "tabular-regression", [], "quality"),
    ],
)
def test_known_datasets_are_understood(shared, read, path, task, texts, target):
    answer = suggested(read(shared / "data" / path, path.rpartition("/")[2]))
    assert (answer["task"], answer["text_columns"], answer["target_column"]) == (
        task,
        texts,
        target,
    )
    assert answer["why"]


UPLOADS = {upload.name: upload for upload in list_uploads()}
QUICK = (
    "passengers",
    "tickets",
    "job adverts",
    "voted tweets",
    "chinese reviews",
    "barred labels",
    "counties",
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.nightly]) for name in UPLOADS],
)
def test_the_right_use_of_a_hard_upload_comes_first(read, name):
    """Names and numbers of people, texts without blanks, codes, and what is known only later."""
    upload = UPLOADS[name]
    found = profile(read(upload.content))
    answer, proposals = found["suggested"], found["proposals"]
    assert (answer["task"], answer["text_columns"], answer["target_column"]) == (
        upload.task,
        upload.texts,
        upload.target,
    ), answer["why"]
    assert proposals[0] == answer
    assert len({(one["task"], one["target_column"]) for one in proposals}) == len(proposals) <= 3
    assert all(one["why"].endswith(".") for one in proposals)


@pytest.mark.parametrize("kind", KINDS)
def test_names_values_and_what_can_be_learnt_speak_for_a_target(read, kind):
    wanted = KINDS[kind]
    answer = suggested(read(wanted.content))
    assert (answer["task"], answer["text_columns"], answer["target_column"]) == (
        wanted.task,
        wanted.texts,
        wanted.target,
    ), answer["why"]


@pytest.mark.parametrize(
    "name",
    [name if name in MENDED else pytest.param(name, marks=pytest.mark.nightly) for name in FURTHER],
)
def test_a_further_table_is_read_for_what_it_is(read, name):
    task, texts, target, spec = FURTHER[name]
    first = suggested(read(write_table(spec)))
    proposed = first["target_column"] or first.get("target_columns")
    assert (first["task"], first["text_columns"], proposed) == (task, texts, target), first["why"]


def test_a_label_outweighs_what_two_speakers_say(read):
    spec = "user_message:t15~.9; bot_reply:t20; intent:order|cancel|refund~.95"
    assert suggested(read(write_table(spec)))["target_column"] == "intent"


def test_an_index_is_no_number_to_estimate(read):
    spec = "Nr:#; Frage:t10; Antwort:t40; Rubrik:Konto|Versand|Zahlung"
    proposals = profile(read(write_table(spec)))["proposals"]
    assert "Nr" not in {proposal["target_column"] for proposal in proposals}


SENTENCE = "sentence {n} of a text about {n} other things that nobody wrote before"


@pytest.mark.parametrize(
    ("header", "prompt", "answer"),
    [
        ("id,article,highlights", "article", "highlights"),
        ("en,de", "en", "de"),
        ("正文,摘要", "正文", "摘要"),
        ("source_text,target_text", "source_text", "target_text"),
        ("lang_a,lang_b,created_at", "lang_a", "lang_b"),
    ],
)
def test_two_columns_of_running_text_and_no_label_are_question_and_answer(
    read, header, prompt, answer
):
    names = header.split(",")
    lines = [header]
    for n in range(60):
        cells = {"id": f"{n:x}f{n}", "created_at": f"2024-01-{n % 28 + 1:02d} 10:{n:02d}:00"}
        lines.append(",".join(cells.get(name, f"{name} {SENTENCE.format(n=n)}") for name in names))
    found = suggested(read("\n".join(lines).encode()))
    assert (found["task"], found["text_columns"], found["target_column"]) == (
        "text-generation",
        [prompt],
        answer,
    )


def test_a_heading_and_its_text_are_no_question_and_answer(read):
    lines = ["title,review", *(f"Title {n} of it,{SENTENCE.format(n=n)}" for n in range(60))]
    found = suggested(read("\n".join(lines).encode()))
    assert (found["task"], found["target_column"]) == ("text-classification", None)


def test_what_cannot_be_learnt_comes_after_what_can(read):
    """Names say nothing here: two columns repeat two values each, and only one follows the rest."""
    rng = random.Random(0)
    lines = ["q,r,s,t"]
    for _ in range(300):
        one, other = rng.random(), rng.random()
        chance, ruled = rng.choice("uv"), "m" if one + other > 1 else "n"
        lines.append(f"{ruled},{one:.3f},{other:.3f},{chance}")
    found = profile(read("\n".join(lines).encode()))
    assert found["suggested"]["target_column"] == "q"
    assert "better than a guess" in found["suggested"]["why"]
    assert [one["target_column"] for one in found["proposals"]][1] == "t"


@pytest.mark.parametrize(
    ("kinds", "task", "texts"),
    [
        (["boat trip", "train ride", "bus fare"], "tabular-classification", []),
        ([f"{way} {n}" for n in range(9) for way in ("boat trip", "train ride", "bus fare")],
         "text-classification", ["description"]),
    ],
)  # fmt: skip
def test_one_text_for_each_label_is_a_category_and_not_free_text(read, kinds, task, texts):
    """No other text of the label would be left for a test, so that texts alone are refused."""
    rng = random.Random(3)
    lines = ["price,description,weekday,category"]
    for n in range(81):
        kind = kinds[n % len(kinds)]
        label = {"boat": 7, "train": 12, "bus": 31}[kind.split()[0]]
        lines.append(f"{rng.randint(1, 400)},{kind},{rng.randint(1, 7)},{label}")
    found = profile(read("\n".join(lines).encode()))
    answer = found["suggested"]
    assert (answer["task"], answer["text_columns"], answer["target_column"]) == (
        task, texts, "category"
    )  # fmt: skip
    assert found["inspection"]["result"]["refusal"] is None


def test_texts_as_many_as_their_scores_are_still_texts(read):
    lines = ["review,score"]
    lines += [f"This is what I think of visit number {n} to your shop,{n}.5" for n in range(60)]
    answer = suggested(read("\n".join(lines).encode()))
    assert (answer["task"], answer["text_columns"]) == ("text-regression", ["review"])


def test_a_support_export_joins_subject_and_message_and_aims_at_the_queue(read):
    lines = ["ticket_id,created_at,channel,subject,message,queue"]
    queues = ["cards", "billing", "access"]
    lines += [
        f"T-{n:05},2026-01-{n % 28 + 1:02} 10:00,{'web' if n % 2 else 'email'},Problem number {n},"
        f"I have trouble number {n} with {queues[n % 3]} today,{queues[n % 3]}"
        for n in range(120)
    ]
    answer = suggested(read("\n".join(lines).encode()))
    assert answer["text_columns"] == ["subject", "message"]
    assert answer["target_column"] == "queue"


def test_the_profile_counts_what_is_there(read):
    found = profile(
        read(
            b"text,label,n\ngood thing,a,1\nGood thing ,b,2\nbad thing,a,\nbad thing,a,\n"
            b"other words,A,5\nx y z,a,7\n"
        )
    )
    text, label, number = found["columns"]
    assert found["rows"] == 6
    assert found["duplicates"] == 1
    assert (number["missing"], number["min"], number["max"], number["mean"]) == (2, 1.0, 7.0, 3.75)
    assert label["top_values"][0] == {"value": "a", "count": 4}
    assert text["lengths"]["max"] == 11
    assert found["class_balance"][0]["count"] == 4
    assert found["label_noise_candidates"] == [
        {"text": "good thing", "labels": ["a", "b"], "count": 2}
    ]
    assert any("differ only in case" in warning["sentence"] for warning in found["warnings"])


def test_a_label_of_blanks_is_missing_and_contradicts_no_other(read):
    """Parquet keeps cells of blanks as they are."""
    texts = [f"message number {number} says something of its own" for number in range(40)]
    repeated = ["the parcel came late", "the parcel came late", "nobody answers me"] * 2
    table = {
        "text": [*texts, *repeated],
        "label": [*["late", "rude"] * 20, "late", "  ", "rude", "late", "  ", "late"],
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink)
    found = profile(read(sink.getvalue(), "labels.parquet"))
    assert [entry["label"] for entry in found["class_balance"]] == ["late", "rude"]
    assert found["label_noise_candidates"] == [
        {"text": "nobody answers me", "labels": ["late", "rude"], "count": 2}
    ]


def test_nothing_to_learn_is_said(read):
    answer = suggested(
        read(
            b"id,uuid\n1,550e8400-e29b-41d4-a716-44665544000a\n2,550e8400-e29b-41d4-a716-44665544000b"
        )
    )
    assert answer["target_column"] is None


@pytest.mark.parametrize("clock", [1_700_000_000, 20_230_101, 1_700_000_000_000])
def test_a_clock_in_numbers_is_no_time_taken(read, clock):
    rng = random.Random(0)
    lines = ["size,colour,event_time"]
    lines += [
        f"{size},{'red' if size > 5 else 'blue'},{clock + rng.randint(0, 25)}"
        for size in (rng.randint(1, 9) for _ in range(200))
    ]
    proposals = profile(read("\n".join(lines).encode()))["proposals"]
    assert "event_time" not in [one["target_column"] for one in proposals]


def test_a_target_is_counted_over_the_rows_that_have_it(read, tmp_path):
    """Six of sixty rows are labelled so far."""
    rows = [
        f"please send parcel {n} to the shop on the corner,{'' if n % 10 else n % 20}"
        for n in range(60)
    ]
    path = tmp_path / "tickets.csv"
    path.write_text("\n".join(["message,queue", *rows]) + "\n")
    assert "queue repeats 2 values over 6 rows" in suggested(read(path, "tickets.csv"))["why"]
