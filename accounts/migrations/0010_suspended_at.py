from django.db import migrations, models


class Migration(migrations.Migration):
    """Only the label changes; no SQL runs."""

    dependencies = [("accounts", "0009_agents")]
    operations = [
        migrations.AlterField(
            model_name="team",
            name="frozen_at",
            field=models.DateTimeField("suspended at", null=True, blank=True),
        )
    ]
