"""The audit log: names, filters and the file."""

from django.urls import reverse

from accounts import audit, audit_log
from accounts.models import AuditEntry
from web.streams.detached import DetachedResponse


def test_entries_are_filtered_by_action_and_words(client_of, alice, team):
    audit.record(team, alice, "job.launched", "0b3c", name="Support intents")
    audit.record(team, alice, "token.created", "CI")
    url = reverse("accounts:audit", args=[team.slug])
    client = client_of(alice)
    page = client.get(url).content.decode()
    assert "Support intents" in page
    assert "0b3c" not in page.replace("name", "")  # The name stands where the id stood.
    only = client.get(url, {"action": "token.created"}).content.decode()
    assert "CI" in only
    assert "Support intents" not in only
    assert "Support intents" in client.get(url, {"q": "support"}).content.decode()
    assert "Nothing matches" in client.get(url, {"q": "no such thing"}).content.decode()


def test_the_file_holds_the_filtered_entries_and_runs_no_formula(client_of, alice, bob, team):
    audit.record(team, alice, "team.renamed", "=HYPERLINK(1)")
    url = reverse("accounts:audit-csv", args=[team.slug])
    answer = client_of(alice).get(url, {"action": "team.renamed"})
    lines = b"".join(answer).decode().splitlines()
    assert lines[0] == "at,actor,action,target,detail,address"
    assert len(lines) == 2
    assert "'=HYPERLINK" in lines[1]
    assert client_of(bob).get(url).status_code == 403


def test_the_file_is_read_page_by_page_and_holds_every_entry_once(
    client_of, alice, team, monkeypatch
):
    monkeypatch.setattr(audit_log, "ROWS_AT_ONCE", 3)
    for number in range(8):
        audit.record(team, alice, "team.renamed", f"name {number}")
    AuditEntry.objects.update(at=AuditEntry.objects.latest("at").at)  # In one moment.
    answer = client_of(alice).get(reverse("accounts:audit-csv", args=[team.slug]))
    assert isinstance(answer, DetachedResponse)
    lines = b"".join(answer).decode().splitlines()
    renamed = [line.split(",")[3] for line in lines if "team.renamed" in line]
    assert renamed == [f"name {number}" for number in reversed(range(8))]
