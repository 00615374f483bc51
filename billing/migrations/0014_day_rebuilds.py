"""What the daily sums should be, as views; and their rebuilding, by a trigger like all else there."""

from importlib import import_module

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

kept = import_module("billing.migrations.0013_daily_sums_kept")

VIEWS = f"""
CREATE VIEW billing_usageday_due AS
SELECT team_id, day, source, run_id, sku, token_prefix, sum(device_ms)::bigint AS device_ms,
    sum(units)::bigint AS units, sum(requests)::bigint AS requests,
    sum(amount_micro)::bigint AS amount_micro
FROM (
    ({kept.LEDGER.format(table="billing_ledgerentry")})
    UNION ALL ({kept.SEGMENTS.format(table="billing_usagesegment")})
    UNION ALL ({kept.EVENTS.format(table="billing_usageevent")})
) AS part (team_id, day, source, run_id, sku, token_prefix, device_ms, units, requests,
    amount_micro)
GROUP BY team_id, day, source, run_id, sku, token_prefix;
CREATE VIEW billing_creditday_due (team_id, day, grant_id, used_micro) AS
SELECT team_id, day, grant_id, used::bigint
FROM ({kept.BURNS.format(table="billing_creditburn")}) AS part (team_id, day, grant_id, used);
"""
REBUILD = """
CREATE FUNCTION billing_rebuild_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM billing_usageday WHERE team_id = NEW.team_id AND day = NEW.day;
    INSERT INTO billing_usageday (team_id, day, source, run_id, sku, token_prefix, device_ms,
        units, requests, amount_micro)
    SELECT * FROM billing_usageday_due WHERE team_id = NEW.team_id AND day = NEW.day;
    DELETE FROM billing_creditday WHERE team_id = NEW.team_id AND day = NEW.day;
    INSERT INTO billing_creditday (team_id, day, grant_id, used_micro)
    SELECT * FROM billing_creditday_due WHERE team_id = NEW.team_id AND day = NEW.day;
    RETURN NULL;
END
$$;
CREATE TRIGGER billing_dayrebuild_done AFTER INSERT ON billing_dayrebuild
    FOR EACH ROW EXECUTE FUNCTION billing_rebuild_day();
CREATE TRIGGER billing_dayrebuild_append_only BEFORE UPDATE OR DELETE ON billing_dayrebuild
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
"""
DROP = """
DROP TRIGGER billing_dayrebuild_done ON billing_dayrebuild;
DROP TRIGGER billing_dayrebuild_append_only ON billing_dayrebuild;
DROP FUNCTION billing_rebuild_day();
DROP VIEW billing_creditday_due;
DROP VIEW billing_usageday_due;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0013_daily_sums_kept"),
        ("accounts", "0003_webhook_attempts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="DayRebuild",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("reason", models.CharField(max_length=255)),
                ("at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.team",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(VIEWS + REBUILD, DROP),
    ]
