"""What was to be reported stays as it was written, and nothing is forgotten."""

from django.db import migrations

FIXED = [
    "team_id", "meter", "subscription", "customer", "event_name", "kind", "entry_id", "seq",
    "identifier", "minute", "value", "amount_micro",
]
CARRIED = ["stripeoutboxitem", "stripeoutboxevent", "stripeoutboxentry"]
CREATE = f"""
CREATE FUNCTION billing_refuse_other_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ({", ".join(f"OLD.{name}" for name in FIXED)})
       IS DISTINCT FROM ({", ".join(f"NEW.{name}" for name in FIXED)}) THEN
        RAISE EXCEPTION 'an outbox row may change its state, never what it reports'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER billing_outbox_fixed_facts BEFORE UPDATE ON billing_stripeoutbox
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_other_facts();
CREATE TRIGGER billing_outbox_never_deleted BEFORE DELETE ON billing_stripeoutbox
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
"""
DROP = """
DROP TRIGGER billing_outbox_fixed_facts ON billing_stripeoutbox;
DROP TRIGGER billing_outbox_never_deleted ON billing_stripeoutbox;
DROP FUNCTION billing_refuse_other_facts();
"""


def refuse_change_of(table):
    name = f"billing_{table}_append_only"
    return migrations.RunSQL(
        f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON billing_{table}"
        " FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();",
        f"DROP TRIGGER {name} ON billing_{table};",
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_outbox")]
    operations = [migrations.RunSQL(CREATE, DROP), *map(refuse_change_of, CARRIED)]
