"""The job's row: what the database refuses."""

import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from training.models import TrainingJob


@pytest.mark.parametrize(
    "facts",
    [
        {"status": "failed"},
        {"status": "succeeded"},
        {"status": "queued", "finished_at": now()},
        {"progress": 1.5},
    ],
)
def test_the_database_refuses_rows_that_cannot_be_true(job, facts):
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainingJob.objects.filter(pk=job.pk).update(**facts)
