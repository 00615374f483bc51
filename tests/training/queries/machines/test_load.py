"""The machines on the operators' first page: devices, jobs and what was measured of them."""

from datetime import timedelta

from django.utils.timezone import now

from training.models import MetricPoint, Worker
from training.queries.machines.load import trainer_loads
from training.scheduling import claims, workers

GPU = {"name": "A chip", "memory_bytes": 80 * 2**30}


def measured(job, name, *values):
    MetricPoint.objects.bulk_create(
        MetricPoint(job=job, attempt_number=1, name=name, step=step, value=value)
        for step, value in enumerate(values)
    )


def test_a_busy_machine_shows_the_newest_figures_and_an_idle_one_none(
    job, django_assert_num_queries
):
    workers.register("busy", "cpu", devices=[GPU, GPU])
    workers.register("idle", "cpu", devices=[])
    workers.register("gone", "cpu", devices=[GPU])
    Worker.objects.filter(name="gone").update(seen_at=now() - timedelta(hours=1))
    claims.claim("cpu", "busy")
    measured(job, "system_gpu_percent", 10.0, 93.0)
    measured(job, "system_gpu_memory_gib", 40.5)
    with django_assert_num_queries(3):
        busy, idle = trainer_loads()
    assert (busy.name, busy.devices, busy.job) == ("busy", "2 × A chip", job.name)
    assert (busy.gpu_percent, busy.gpu_memory_gib, busy.device_gib) == (93.0, 40.5, 80)
    assert busy.cpu_percent is None
    assert (idle.name, idle.devices, idle.job, idle.gpu_percent) == ("idle", "", "", None)


def test_the_operators_first_page_shows_them(job, admin_client):
    assert "No trainer is online." in admin_client.get("/admin/").content.decode()
    workers.register("node-7", "cpu", devices=[GPU])
    claims.claim("cpu", "node-7")
    measured(job, "system_gpu_percent", 88.0)
    page = admin_client.get("/admin/").content.decode()
    assert "node-7" in page
    assert "<td>88%</td>" in page
