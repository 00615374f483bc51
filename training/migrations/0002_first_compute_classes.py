"""The kinds of machine a new installation knows; offer the GPU one once a node listens for it."""

from django.db import migrations


def add(apps, schema_editor):
    compute_class = apps.get_model("training", "ComputeClass")
    compute_class.objects.create(
        code="cpu", name="CPU", device="cpu", memory_bytes=8 * 1024**3, order=0
    )
    compute_class.objects.create(
        code="gpu", name="GPU", device="cuda", memory_bytes=24 * 1024**3, order=1, is_offered=False
    )


class Migration(migrations.Migration):
    dependencies = [("training", "0001_initial"), ("billing", "0003_first_plans_and_rates")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
