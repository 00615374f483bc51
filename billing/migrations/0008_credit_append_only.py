"""Credit moves by new rows as well; no money table can be emptied; entries know their run."""

from django.db import migrations

TABLES = ("ledgerentry", "usagesegment", "usageevent", "creditburn", "creditgrant")
# What an entry knows from now on, for those that stand already.
FILL = """
ALTER TABLE billing_ledgerentry DISABLE TRIGGER billing_ledger_append_only;
UPDATE billing_ledgerentry entry SET run_id = segment.run_id, sku = rate.sku
FROM billing_usagesegment segment
JOIN billing_meteredrun run ON run.id = segment.run_id
JOIN billing_rate rate ON rate.id = run.rate_id
WHERE entry.kind = 'compute' AND entry.source = 'segment:' || segment.id;
UPDATE billing_ledgerentry entry SET run_id = run.id, sku = rate.sku
FROM billing_meteredrun run JOIN billing_rate rate ON rate.id = run.rate_id
WHERE entry.kind = 'refund' AND entry.source LIKE 'refund:run:%'
  AND substr(entry.source, 12, 36) = run.id::text;
UPDATE billing_ledgerentry entry SET sku = event.kind, token_prefix = event.token_prefix
FROM billing_usageevent event
WHERE entry.kind = 'inference' AND entry.source = 'event:' || event.id;
SET CONSTRAINTS ALL IMMEDIATE; -- Deferred checks of the rows above would forbid the next line.
ALTER TABLE billing_ledgerentry ENABLE TRIGGER billing_ledger_append_only;
"""
CREATE = """
CREATE TRIGGER billing_burn_append_only BEFORE UPDATE OR DELETE ON billing_creditburn
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE FUNCTION billing_refuse_regrant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR ROW(NEW.id, NEW.team_id, NEW.kind, NEW.granted_micro, NEW.priority,
           NEW.source, NEW.note, NEW.granted_at, NEW.expires_at)
       IS DISTINCT FROM ROW(OLD.id, OLD.team_id, OLD.kind, OLD.granted_micro, OLD.priority,
           OLD.source, OLD.note, OLD.granted_at, OLD.expires_at) THEN
        RAISE EXCEPTION 'a credit grant is used up or taken back, never edited; rows of % are append-only',
            TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER billing_grant_append_only BEFORE UPDATE OR DELETE ON billing_creditgrant
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_regrant();
""" + "".join(
    f"CREATE TRIGGER billing_{table}_never_emptied BEFORE TRUNCATE ON billing_{table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();\n"
    for table in TABLES
)
DROP = (
    "".join(f"DROP TRIGGER billing_{t}_never_emptied ON billing_{t};\n" for t in TABLES)
    + """
DROP TRIGGER billing_grant_append_only ON billing_creditgrant;
DROP FUNCTION billing_refuse_regrant();
DROP TRIGGER billing_burn_append_only ON billing_creditburn;
"""
)


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_credits")]
    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(CREATE, DROP),
    ]
