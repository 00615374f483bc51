"""Money rows are written once: the database itself refuses to change or delete them."""

from django.db import migrations

CREATE = """
CREATE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are append-only; book a reversing entry instead', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER billing_ledger_append_only BEFORE UPDATE OR DELETE ON billing_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER billing_segment_append_only BEFORE UPDATE OR DELETE ON billing_usagesegment
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER billing_event_append_only BEFORE UPDATE OR DELETE ON billing_usageevent
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE FUNCTION billing_refuse_repricing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.sku <> OLD.sku OR NEW.nano_per_unit <> OLD.nano_per_unit
       OR lower(NEW.valid) <> lower(OLD.valid) THEN
        RAISE EXCEPTION 'a rate is superseded by a new row, never edited'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER billing_rate_superseded_only BEFORE UPDATE ON billing_rate
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_repricing();
"""
DROP = """
DROP TRIGGER billing_ledger_append_only ON billing_ledgerentry;
DROP TRIGGER billing_segment_append_only ON billing_usagesegment;
DROP TRIGGER billing_event_append_only ON billing_usageevent;
DROP TRIGGER billing_rate_superseded_only ON billing_rate;
DROP FUNCTION billing_refuse_change();
DROP FUNCTION billing_refuse_repricing();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [migrations.RunSQL(CREATE, DROP)]
