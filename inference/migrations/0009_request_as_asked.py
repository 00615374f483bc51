"""Requests of one row keep it whole, so that a correction can become a row of the dataset."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("inference", "0008_table_prediction")]

    operations = [
        migrations.AddField("requestlog", "asked", models.JSONField(null=True)),
    ]
