"""The plans and rates a new installation starts with; change them in the admin."""

from datetime import datetime, timezone

from django.db import migrations
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)
# Nano-USD per unit. 20,000 per second is $0.072 an hour; 700,000 is $2.52 an hour.
RATES = {"cpu": 20_000, "gpu": 700_000, "inference-tokens": 20}
PLANS = [("free", "Free", 0, 1), ("team", "Team", 4_900, 4), ("scale", "Scale", 49_900, 16)]


def add(apps, schema_editor):
    rate, plan = apps.get_model("billing", "Rate"), apps.get_model("billing", "Plan")
    for sku, nano in RATES.items():
        rate.objects.create(sku=sku, nano_per_unit=nano, valid=DateTimeTZRange(BEGINNING, None))
    for order, (code, name, cents, concurrency) in enumerate(PLANS):
        plan.objects.create(
            code=code, name=name, monthly_cents=cents, concurrency=concurrency, order=order
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_append_only")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
