"""What became of corrections is kept and shown: the version that learnt each."""

import csv
import io

import pytest

from assistants.knowledge.answers import edit, write_answer
from assistants.knowledge.phrasings import add_phrasing
from assistants.models import Decision, Judgement, Message, Phrasing, TestCase, Version
from assistants.queries.corrections import count_corrections
from assistants.review.judging import judge
from assistants.versions import building
from assistants.versions.rows import export_rows
from projects import storage
from tests.assistants.made import learn, record

pytestmark = pytest.mark.django_db


def correct(version, alice, text, key="return-an-order") -> Judgement:
    decision = record(version.assistant, version, text)
    return judge(version.assistant, decision.pk, "should_have_answered", alice, answer_key=key)


def rows_of(version: Version) -> set[tuple[str, str, str]]:
    with storage.open_file(version.dataset_version.upload_key) as file:
        rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))
        return {(row["question"], row["answer"], row["origin"]) for row in rows}


@pytest.mark.slow
def test_corrections_are_rows_of_the_next_dataset_version_and_pages_say_which(
    live, alice, api, token, client_of
):
    assistant, browser = live.assistant, client_of(alice)
    review = f"/assistants/{assistant.pk}/review/"
    first = correct(live, alice, "can the parcel travel back to you")
    correct(live, alice, "my shoes shall go home again")
    assert "2 corrections wait for the next version" in browser.get(review).content.decode()
    second = learn(assistant, alice)
    assert second.dataset_version != live.dataset_version
    learnt = ("can the parcel travel back to you", "return-an-order", "correction")
    assert learnt in rows_of(second)
    assert learnt not in rows_of(live)
    first.refresh_from_db()
    assert first.used_in == second.dataset_version
    page = browser.get(review).content.decode()
    assert f"2 corrections, all in version {second.number}." in " ".join(page.split())
    judged = api(token).get(f"/api/v1/assistants/{assistant.pk}/judgements").json()["data"]
    assert {one["used_in"] for one in judged} == {str(second.dataset_version_id)}
    talk = first.decision.message.conversation_id
    words = " ".join(browser.get(f"/conversations/{talk}/").content.decode().split())
    assert f"learnt in version {second.number}" in words
    versions = browser.get(f"/assistants/{assistant.pk}/").content.decode()
    assert "2 corrections learnt" in " ".join(versions.split())


@pytest.mark.slow
def test_what_cannot_be_learnt_yet_says_what_it_waits_for(live, alice, client_of):
    assistant = live.assistant
    correct(live, alice, "can the parcel travel back to you")
    draft = write_answer(assistant, "gift-cards", "They are valid for a year.", "en", alice)
    correct(live, alice, "how long may i keep a voucher", draft.key)
    second = learn(assistant, alice)
    counted = count_corrections(assistant)
    assert (counted.total, counted.waiting, counted.unapproved) == (2, 0, 1)
    assert [(one.version, one.count) for one in counted.learnt] == [(second, 1)]
    page = client_of(alice).get(f"/assistants/{assistant.pk}/review/").content.decode()
    assert "waits for its answer to be approved" in page
    assert f"1 correction in version {second.number}" in " ".join(page.split())


def test_a_version_that_could_not_be_built_learnt_nothing_and_the_next_one_did(live, alice):
    assistant = live.assistant
    correct(live, alice, "can the parcel travel back to you")
    broken = building.create_version(assistant, alice)
    export_rows(broken)
    assert Judgement.objects.get(taught_at__isnull=False).used_in == broken.dataset_version
    Version.objects.filter(pk=broken.pk).update(attempts=9)
    building.build_pending()  # It was tried too often.
    broken.refresh_from_db()
    assert broken.status == "failed"
    correct(live, alice, "my shoes shall go home again")
    assert count_corrections(assistant).waiting == 2
    third = learn(assistant, alice)
    assert [(one.version, one.count) for one in count_corrections(assistant).learnt] == [(third, 2)]


@pytest.mark.slow
def test_what_is_taught_after_the_rows_were_written_is_for_the_next_version(live, alice):
    assistant = live.assistant
    version = building.create_version(assistant, alice, train_classifier=True)
    export_rows(version)
    late = correct(live, alice, "can the parcel travel back to you")
    Version.objects.filter(pk=version.pk).update(awaits_classifier=False)
    building.build_pending()
    version.refresh_from_db()
    assert version.status == "measured", version.failure_sentence
    assert not version.index.filter(text=late.decision.question).exists()
    assert count_corrections(assistant).waiting == 1
    answer = assistant.answers.get(key="return-an-order")
    add_phrasing(answer, "may it go back", Phrasing.Origin.WRITTEN)
    following = learn(assistant, alice)
    assert following.index.filter(text=late.decision.question).exists()
    assert count_corrections(assistant).waiting == 0


def test_an_answer_that_is_edited_meanwhile_is_learnt_all_the_same(live, alice):
    assistant = live.assistant
    version = building.create_version(assistant, alice, train_classifier=True)
    export_rows(version)
    answer = assistant.answers.get(key="return-an-order")
    edit(answer, alice, text="Send it back within 30 days.")
    Version.objects.filter(pk=version.pk).update(awaits_classifier=False)
    building.build_pending()
    version.refresh_from_db()
    assert version.index.count() == live.index.count()


@pytest.mark.parametrize(("judged", "share", "audited"), [(199, 0.15, 0), (200, 0.3, 200)])
def test_the_audit_measures_how_many_questions_nobody_could_answer(
    live, alice, judged, share, audited
):
    assistant = live.assistant
    talk = record(assistant, live, "q", for_audit=True).message.conversation
    for number in range(2, judged + 1):
        message = Message.objects.create(
            conversation=talk, channel=talk.channel, seq=number, author="visitor", text=f"{number}"
        )
        Decision.objects.create(message=message, version=live, route="refuse", for_audit=True)
    Judgement.objects.bulk_create(
        Judgement(
            decision=decision, person=alice, is_audit=True,
            verdict="out_of_scope" if number % 10 < 3 else "right",
        )
        for number, decision in enumerate(Decision.objects.order_by("message__seq"))
    )  # fmt: skip
    version = building.create_version(assistant, alice)
    assert (version.out_of_scope_share, version.share_audited) == (share, audited)


@pytest.mark.slow
def test_the_page_of_tests_asks_the_gate_and_publishes(live, alice, client_of):
    assistant, browser = live.assistant, client_of(alice)
    correct(live, alice, "can the parcel travel back to you")
    second = learn(assistant, alice)
    case = TestCase.objects.create(
        assistant=assistant, question="how do i return an order", expects="refuse", locked=True
    )
    tests = f"/assistants/{assistant.pk}/tests/"
    page = browser.post(f"{tests}run/", follow=True).content.decode()
    assert f"The gate refuses version {second.number}:" in page
    assert "The locked question “how do i return an order” is broken" in page
    case.delete()
    page = browser.post(f"{tests}run/", follow=True).content.decode()
    assert f"The gate lets version {second.number} go live." in page
    publish = f"/assistants/{assistant.pk}/publish/{second.number}/"
    assert publish in page
    assert browser.post(publish).status_code == 302
    assert publish not in browser.get(tests).content.decode()
