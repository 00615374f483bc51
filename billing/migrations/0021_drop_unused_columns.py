"""The outbox reports usage alone: what told other kinds of rows apart goes. So do copies of Stripe's
facts about a customer that nothing reads.

Rows of those kinds, which only versions before the first release wrote, stay as they are; the new
constraint binds rows from now on.
"""

from importlib import import_module

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q

kept = import_module("billing.migrations.0010_outbox_kept")
REPLACE = kept.CREATE.partition("CREATE TRIGGER")[0].replace("CREATE FUN", "CREATE OR REPLACE FUN")
# An amount that had no minute gets one before 1970, which is nobody else's.
MINUTES = """
ALTER TABLE billing_stripeoutbox DISABLE TRIGGER USER;
UPDATE billing_stripeoutbox SET minute = -id WHERE minute IS NULL;
ALTER TABLE billing_stripeoutbox ENABLE TRIGGER USER;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0020_credit_mirror")]

    operations = [
        migrations.RunSQL(MINUTES, migrations.RunSQL.noop),
        migrations.RunSQL(
            REPLACE.replace("OLD.kind, ", "").replace("NEW.kind, ", ""), REPLACE
        ),
        migrations.RemoveConstraint("stripeoutbox", "billing_outbox_sign_by_kind"),
        migrations.RemoveField("stripeoutbox", "kind"),
        migrations.RemoveField("stripeoutbox", "channel"),
        migrations.RemoveField("stripeoutbox", "settles"),
        migrations.RemoveField("ledgerentry", "reverses"),
        migrations.RemoveField("stripecustomer", "credit_cents"),
        migrations.RemoveField("stripecustomer", "credit_read_at"),
        migrations.RemoveField("stripecustomer", "currency"),
        migrations.RemoveField("stripecustomer", "is_delinquent"),
        migrations.AlterField("stripeoutbox", "minute", models.BigIntegerField()),
        migrations.AlterField("stripeoutbox", "value", models.BigIntegerField()),
        AddConstraintNotValid(
            "stripeoutbox",
            models.CheckConstraint(name="billing_outbox_adds", condition=Q(value__gt=0)),
        ),
        migrations.AlterField(
            "reconciliation",
            "scope",
            models.CharField(
                choices=[
                    ("quantity", "line: units"),
                    ("amount", "line: cents"),
                    ("credit", "invoice: credit taken off, in cents"),
                    ("balance", "credit balance in cents"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            "reconciliation",
            "state",
            models.CharField(
                choices=[("open", "Open"), ("settled", "Settled"), ("repaired", "Repaired")],
                default="open",
                max_length=8,
            ),
        ),
    ]
