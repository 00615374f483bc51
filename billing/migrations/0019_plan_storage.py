"""What a plan lets a team keep in storage."""

from django.db import migrations, models

GIB = 1024**3
STORAGE = {"free": 10 * GIB, "team": 200 * GIB, "scale": 2000 * GIB}


def fill(apps, schema_editor):
    plan = apps.get_model("billing", "Plan")
    for code, storage_bytes in STORAGE.items():
        plan.objects.filter(code=code).update(storage_bytes=storage_bytes)


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0018_standard_field_names'),
    ]

    operations = [
        migrations.AddField(
            model_name='plan',
            name='storage_bytes',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
