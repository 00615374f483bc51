"""What the first plans offer; only where nobody has said anything else."""

from django.db import migrations

OFFERS = {
    "free": (0, ["Every task, evaluation report and export", "OpenAI-compatible API"]),
    "team": (20_000_000, ["Everything in Free", "Credit for the first hours of each month"]),
    "scale": (250_000_000, ["Everything in Team", "Room for many fine-tunes side by side"]),
}


def fill(apps, schema_editor):
    plan = apps.get_model("billing", "Plan")
    for code, (included_micro, features) in OFFERS.items():
        plan.objects.filter(code=code, features=[], included_micro=0).update(
            included_micro=included_micro, features=features
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_stripe")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
