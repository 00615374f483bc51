import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0014_day_rebuilds")]
    operations = [
        migrations.AddField(
            model_name="topup",
            name="shrunk_for",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=80), default=list, size=None
            ),
        ),
    ]
