"""What a job leaves to read: a bounded log without secrets; and a full disk has its own name."""

from django.db import OperationalError

from training.jobs import attempts
from training.models import Status, TrainingJob
from training.scheduling import claims
from training.worker import runner
from training.worker.job_log import (
    MAX_LOG_CHARACTERS,
    REDACTED,
    JobLog,
    redact_secrets,
)


def test_secrets_never_reach_the_log(monkeypatch):
    monkeypatch.setenv("STRIPE_SECRET_KEY", "a-long-secret-value")
    text = redact_secrets(
        "key a-long-secret-value at postgresql://me:pw@host/db with hf_abcdefghijkl "
        "and Bearer abcdefghij"
    )
    for secret in ("a-long-secret-value", "me:pw", "hf_abcdefghijkl", "abcdefghij"):
        assert secret not in text
    assert text.count(REDACTED) == 4


def test_the_log_is_bounded_live_downloadable_and_shows_progress_bars_once(
    job, alice, mallory, client_of, api, token, tmp_path
):
    attempt = claims.claim("cpu", "w")
    log = JobLog(attempt, tmp_path / "engine.log")
    with log.path.open("a") as file:
        file.write("Loading 10%\rLoading 100%\n" + "line\n" * 9000 + "<the end>\n")
    log.save()
    stored = TrainingJob.objects.get(pk=job.pk).log_tail
    assert len(stored) <= MAX_LOG_CHARACTERS
    assert stored.endswith("<the end>\n")
    assert "&lt;the end&gt;" in client_of(alice).get(f"/jobs/{job.pk}/log/").content.decode()
    answer = client_of(alice).get(f"/jobs/{job.pk}/log.txt")
    assert answer["Content-Type"].startswith("text/plain")
    assert api(token).get(f"/api/v1/training-jobs/{job.pk}/log").json()["text"] == stored
    assert client_of(mallory).get(f"/jobs/{job.pk}/log.txt").status_code == 404


def test_a_later_attempt_keeps_what_the_earlier_one_said(job, tmp_path):
    first = claims.claim("cpu", "w")
    JobLog(first, tmp_path / "1.log").save()
    attempts.fail_lost(first, "Silence.")
    second = claims.claim("cpu", "v")
    JobLog(second, tmp_path / "2.log").save()
    tail = TrainingJob.objects.get(pk=job.pk).log_tail
    assert tail.index("attempt 1 on w") < tail.index("attempt 2 on v")


def test_a_full_disk_fails_the_job_by_that_name_and_costs_nothing(job):
    attempt = claims.claim("cpu", "w")
    runner._fail_attempt(attempt, OSError(28, "No space left on device"))
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Status.FAILED, "storage_full")
    assert "no room left" in job.failure_sentence


def test_a_database_out_of_reach_sends_the_job_back_to_the_queue(job):
    attempt = claims.claim("cpu", "w")
    runner._fail_attempt(attempt, OperationalError("server closed the connection unexpectedly"))
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Status.QUEUED, None)


def test_a_scratch_folder_that_cannot_be_made_fails_the_job_and_not_the_trainer(job, monkeypatch):
    def refuse() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner, "scratch_folder", refuse)
    runner.run_queued_jobs("cpu")
    job.refresh_from_db()
    assert job.failure_code == "storage_full"
