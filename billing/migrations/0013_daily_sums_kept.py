"""The daily sums are kept by triggers, from what stands already and from every new row."""

from django.db import migrations

LEDGER = """
    SELECT team_id, (occurred_at AT TIME ZONE 'UTC')::date, about, run_id, sku, token_prefix,
           0, 0, 0, sum(amount_micro)
    FROM {table} WHERE kind IN ('compute', 'inference')
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
"""
SEGMENTS = """
    SELECT used.team_id, (used.recorded_at AT TIME ZONE 'UTC')::date, used.source, used.run_id,
           rate.sku, '', sum(used.device_ms), 0, 0, 0
    FROM {table} used
    JOIN billing_meteredrun run ON run.id = used.run_id
    JOIN billing_rate rate ON rate.id = run.rate_id
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
"""
EVENTS = """
    SELECT team_id, (occurred_at AT TIME ZONE 'UTC')::date, source, NULL::uuid, kind, token_prefix,
           0, sum(units), sum(requests), 0
    FROM {table} GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
"""
ADD = """
    INSERT INTO billing_usageday AS total (team_id, day, source, run_id, sku, token_prefix,
        device_ms, units, requests, amount_micro)
    {rows}
    ON CONFLICT (team_id, day, source, run_id, sku, token_prefix) DO UPDATE
    SET device_ms = total.device_ms + EXCLUDED.device_ms,
        units = total.units + EXCLUDED.units,
        requests = total.requests + EXCLUDED.requests,
        amount_micro = total.amount_micro + EXCLUDED.amount_micro;
"""
BURNS = """
    SELECT burn.team_id, (burn.occurred_at AT TIME ZONE 'UTC')::date, burn.grant_id,
           sum(burn.amount_micro)
    FROM {table} burn JOIN billing_ledgerentry entry ON entry.id = burn.entry_id
    WHERE entry.kind NOT IN ('credit', 'expiry', 'take_back')
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
ADD_BURNS = """
    INSERT INTO billing_creditday AS total (team_id, day, grant_id, used_micro)
    {rows}
    ON CONFLICT (team_id, day, grant_id) DO UPDATE
    SET used_micro = total.used_micro + EXCLUDED.used_micro;
"""
KEPT = {
    "ledgerentry": ADD.format(rows=LEDGER),
    "usagesegment": ADD.format(rows=SEGMENTS),
    "usageevent": ADD.format(rows=EVENTS),
    "creditburn": ADD_BURNS.format(rows=BURNS),
}
FILL = "".join(add.format(table=f"billing_{name}") for name, add in KEPT.items())
KEEP = "".join(
    f"""
CREATE FUNCTION billing_sum_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
{add.format(table="fresh")}
    RETURN NULL;
END
$$;
CREATE TRIGGER billing_{name}_summed AFTER INSERT ON billing_{name}
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION billing_sum_{name}();
"""
    for name, add in KEPT.items()
)
GUARD = "".join(
    f"""
CREATE TRIGGER billing_{name}_only_summed BEFORE INSERT OR UPDATE OR DELETE ON billing_{name}
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION billing_refuse_change();
"""
    for name in ("usageday", "creditday")
)
INVOICES = """
CREATE TRIGGER billing_invoice_append_only BEFORE UPDATE OR DELETE ON billing_invoice
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER billing_invoice_never_emptied BEFORE TRUNCATE ON billing_invoice
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
"""
DROP = (
    "".join(
        f"DROP TRIGGER billing_{name}_summed ON billing_{name};"
        f"DROP FUNCTION billing_sum_{name}();"
        for name in KEPT
    )
    + "".join(
        f"DROP TRIGGER billing_{name}_only_summed ON billing_{name};"
        for name in ("usageday", "creditday")
    )
    + "DROP TRIGGER billing_invoice_append_only ON billing_invoice;"
    "DROP TRIGGER billing_invoice_never_emptied ON billing_invoice;"
)


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_daily_sums_and_invoices")]
    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(KEEP + GUARD + INVOICES, DROP),
    ]
