"""A column that can be read in two ways is shown in both, and one click decides."""

import pytest

from projects.importing.imports import import_version
from projects.importing.uploads import receive_upload
from projects.models import DatasetVersion
from projects.queries.questions import reading_title
from tests.pictures import zipped

pytestmark = pytest.mark.django_db
UPLOAD = b"when\tprice\n01/02/2024\t1,150\n03/04/2024\t2,300\n"


@pytest.fixture
def version(project, alice) -> DatasetVersion:
    """A tab-separated file whose dates and prices are both open."""
    received = receive_upload(project=project, filename="p.tsv", chunks=[UPLOAD], by=alice)
    import_version(received.version.pk)
    return DatasetVersion.objects.get(pk=received.version.pk)


def newest(version: DatasetVersion) -> DatasetVersion:
    return DatasetVersion.objects.filter(dataset=version.dataset).order_by("-number")[0]


def test_the_page_shows_the_same_cells_in_every_reading(version, client_of, alice):
    page = client_of(alice).get(f"/datasets/{version.dataset_id}/").content.decode()
    assert "Is the day or the month first in &#x27;when&#x27;?" in page
    assert "2024-02-01" in page
    assert "2024-01-02" in page
    assert "1150" in page
    assert "1.15" in page
    assert "Read as number, as in 1,234.5" in page


@pytest.mark.slow
def test_one_click_decides_in_a_new_version_and_the_other_question_stays(version, client_of, alice):
    client = client_of(alice)
    address = f"/datasets/{version.dataset_id}/reading/"
    client.post(address, {"column": "price", "reading": "number:1,234.5"})
    decided = newest(version)
    assert decided.number == 2
    import_version(decided.pk)
    decided.refresh_from_db()
    types = {column["name"]: column["type"] for column in decided.columns}
    assert types == {"when": "text", "price": "integer"}
    assert [question["column"] for question in decided.profile["questions"]] == ["when"]
    assert decided.overrides["columns"] == {"price": "number:1,234.5"}

    client.post(address, {"column": "when", "reading": "date:d/m/y"})
    import_version(newest(version).pk)
    final = newest(version)
    assert "questions" not in final.profile
    assert [column["type"] for column in final.columns] == ["date", "integer"]


@pytest.mark.parametrize(
    ("column", "reading"), [("price", "roman"), ("nothing", "text"), ("", ""), ("price", "")]
)
def test_an_unknown_column_or_reading_is_refused_and_changes_nothing(
    version, client_of, alice, column, reading
):
    address = f"/datasets/{version.dataset_id}/reading/"
    answer = client_of(alice).post(address, {"column": column, "reading": reading})
    assert answer.status_code == 400
    assert newest(version).number == 1


def test_who_may_not_write_may_not_decide(version, client_of, vera, mallory):
    address = f"/datasets/{version.dataset_id}/reading/"
    choice = {"column": "price", "reading": "text"}
    assert client_of(vera).post(address, choice).status_code == 403
    assert client_of(mallory).post(address, choice).status_code == 404
    assert newest(version).number == 1
    assert "Read as" not in client_of(vera).get(f"/datasets/{version.dataset_id}/").content.decode()


def test_the_api_tells_the_questions_and_takes_the_answers(version, api, token, mallory_token):
    address = f"/api/v1/datasets/{version.dataset_id}"
    questions = api(token).get(address).json()["profile"]["questions"]
    assert [(question["column"], question["code"]) for question in questions] == [
        ("when", "date_order"),
        ("price", "number_format"),
    ]
    body = {"columns": {"price": "number:1234,5", "when": "date:m/d/y"}}
    answer = api(token).post(f"{address}/readings", body, format="json")
    assert (answer.status_code, answer.json()["version"]) == (202, 2)
    refused = api(token).post(f"{address}/readings", {"columns": {"x": "text"}}, format="json")
    assert refused.status_code == 409
    assert api(mallory_token).post(f"{address}/readings", body, format="json").status_code == 404


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("text", "text"),
        ("number:1.234,5", "number, as in 1.234,5"),
        ("number:1234.5+missing", "number, as in 1234.5; other cells are missing"),
        ("date:d/m/y", "date, day first (d/m/y)"),
        ("date:y-m-d BE", "date, year first, years as in Thailand (y-m-d BE)"),
        ("datetime:年月日", "date, year first (年月日)"),
        ("list", "one list of labels"),
        ("file:data/train.csv", "data/train.csv"),
        ("file:*", "all of them, joined"),
    ],
)
def test_readings_have_plain_titles(name, title):
    assert reading_title(name) == title


@pytest.fixture
def archive(project, alice) -> DatasetVersion:
    files = {"berlin.csv": b"text,label\na,x\nb,y", "paris.csv": b"text,label\nc,x\nd,y\ne,x"}
    chunks = [zipped(files)]
    received = receive_upload(project=project, filename="cities.zip", chunks=chunks, by=alice)
    import_version(received.version.pk)
    return DatasetVersion.objects.get(pk=received.version.pk)


@pytest.mark.slow
def test_a_person_chooses_the_table_of_an_archive(archive, client_of, alice):
    client = client_of(alice)
    page = client.get(f"/datasets/{archive.dataset_id}/").content.decode()
    assert "This archive holds 2 tables" in page
    assert 'value="file:berlin.csv"' in page
    read = client.get(f"/datasets/{archive.dataset_id}/?tab=import").content.decode()
    assert "zip, file “paris.csv”" in read
    address = f"/datasets/{archive.dataset_id}/reading/"
    client.post(address, {"column": "", "reading": "file:berlin.csv"})
    assert newest(archive).overrides == {"file": "berlin.csv"}
    import_version(newest(archive).pk)
    versions = client.get(f"/datasets/{archive.dataset_id}/?tab=versions").content.decode()
    assert "read from the archive: berlin.csv" in versions
    for reading in ("file:rome.csv", "file:../x"):
        assert client.post(address, {"column": "", "reading": reading}).status_code == 400
    assert newest(archive).number == 2


def test_a_plain_file_has_no_other_tables(version, client_of, alice):
    answer = client_of(alice).post(
        f"/datasets/{version.dataset_id}/reading/", {"column": "", "reading": "file:*"}
    )
    assert answer.status_code == 400


@pytest.mark.slow
def test_columns_of_one_name_become_a_list_by_one_click(project, client_of, alice):
    rows = [f"note {n},{'ab'[n % 2]},{'xy'[n % 2] if n % 3 else ''}" for n in range(12)]
    content = "\n".join(["text,type,type", *rows]).encode()
    received = receive_upload(project=project, filename="t.csv", chunks=[content], by=alice)
    import_version(received.version.pk)
    version = newest(received.version)
    client, address = client_of(alice), f"/datasets/{version.dataset_id}/reading/"
    page = client.get(f"/datasets/{version.dataset_id}/").content.decode()
    assert "Read as one list of labels" in page
    assert "Read as columns of their own" in page
    for reading, names in (("list", ["text", "type"]), ("columns", ["text", "type", "type_2"])):
        client.post(address, {"column": "type", "reading": reading})
        import_version(newest(version).pk)
        assert [column["name"] for column in newest(version).columns] == names
        assert "questions" not in newest(version).profile
