"""Messages that tell trainers there may be work.

The queue is the jobs' table; a lost message delays a job by seconds.
"""

from django.db.models import Count

from training.models import ComputeClass, Status, TrainingJob, Worker
from web.enqueue import enqueue, enqueue_on_commit

WORK_TASK = "training.tasks.work"


def notify_workers(job: TrainingJob) -> None:
    """Tell the trainers of the job's class, once the transaction commits."""
    compute_class = job.compute_class
    enqueue_on_commit(WORK_TASK, compute_class.code, queue=compute_class.queue)


def notify_workers_of_queued_jobs() -> None:
    """Tell the trainers of every class with queued jobs, so that a lost message costs seconds.

    One message for each trainer that could take a job: a draining one may swallow the first.
    """
    queued = TrainingJob.objects.filter(status=Status.QUEUED).order_by()
    for code, jobs in queued.values_list("compute_class").annotate(jobs=Count("pk")):
        online = Worker.objects.filter(compute_class=code).online().count()
        for _ in range(max(1, min(jobs, online))):
            enqueue(WORK_TASK, code, queue=ComputeClass(code=code).queue)
