from django.db import migrations, models


def keep_what_was_promised(apps, schema_editor):
    """Until now the page said of a retired assistant that what was said stays."""
    apps.get_model("assistants", "Assistant").objects.filter(state="retired").update(
        keeps_history=True
    )


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0023_purged_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="assistant",
            name="keeps_history",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RunPython(keep_what_was_promised, migrations.RunPython.noop),
    ]
