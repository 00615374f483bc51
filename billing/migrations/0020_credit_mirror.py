"""Stripe's credit follows the ledger; ids know their account; adjustments have a meter.

The rows that said who had daily sums added up anew go: the audit log says the same.
"""

from importlib import import_module

from django.db import migrations, models

rebuilt = import_module("billing.migrations.0014_day_rebuilds")
# What was returned of a top-up so far: credit taken back, less what was given again.
RETURNED = """
UPDATE billing_topup SET returned_cents = least(amount_cents, greatest(0, (
    SELECT coalesce(sum(entry.amount_micro), 0) / 10000
    FROM billing_creditgrant credit JOIN billing_ledgerentry entry
      ON entry.about = 'credit:' || credit.id AND entry.kind = 'take_back'
    WHERE credit.source = 'topup:' || billing_topup.payment_intent
       OR credit.source LIKE 'topup:' || billing_topup.payment_intent || ':kept:%'
) - (
    SELECT coalesce(sum(granted_micro), 0) / 10000 FROM billing_creditgrant credit
    WHERE credit.source LIKE 'topup:' || billing_topup.payment_intent || ':kept:%'
))) WHERE payment_intent IS NOT NULL AND status IN ('paid', 'refunded');
UPDATE billing_topup SET returned_cents = amount_cents WHERE status = 'refunded';
"""
# One unit is a millionth of a dollar: see billing.pricing.
ADJUSTMENTS = """
INSERT INTO billing_rate (sku, nano_per_unit, valid, stripe_price_id, stripe_account)
SELECT 'adjustments', 1000, tstzrange('2020-01-01', NULL), '', ''
WHERE NOT EXISTS (SELECT FROM billing_rate WHERE sku = 'adjustments');
"""


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0019_plan_storage'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='topup',
            name='shrunk_for',
        ),
        migrations.RemoveField(
            model_name='topup',
            name='stripe_grant_id',
        ),
        migrations.AddField(
            model_name='meter',
            name='account',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name='plan',
            name='stripe_account',
            field=models.CharField(blank=True, editable=False, max_length=80),
        ),
        migrations.AddField(
            model_name='rate',
            name='stripe_account',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name='stripecustomer',
            name='account',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name='stripecustomer',
            name='checkouts',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='stripecustomer',
            name='credit_changed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='stripecustomer',
            name='credit_grants',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='stripecustomer',
            name='elsewhere',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='stripeinvoice',
            name='account',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name='stripeinvoice',
            name='finalized_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='account',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name='topup',
            name='account',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name='topup',
            name='checkouts',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='topup',
            name='returned_cents',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name='reconciliation',
            name='scope',
            field=models.CharField(choices=[('hour', 'Hour'), ('quantity', 'line: units'), ('amount', 'line: cents'), ('credit', 'invoice: credit taken off, in cents'), ('balance', 'credit balance in cents'), ('missing', 'passed over')], max_length=10),
        ),
        migrations.AlterField(
            model_name='reconciliation',
            name='state',
            field=models.CharField(choices=[('open', 'Open'), ('settled', 'Settled'), ('repaired', 'Repaired'), ('carried', 'Carried')], default='open', max_length=8),
        ),
        migrations.AlterField(
            model_name='stripeoutbox',
            name='status',
            field=models.CharField(choices=[('local', 'Local'), ('pending', 'Pending'), ('unknown', 'Unknown'), ('sent', 'Sent'), ('moved', 'moved: its amount goes with a later row'), ('dead', 'Dead')], default='pending', max_length=8),
        ),
        migrations.RunSQL(rebuilt.DROP, rebuilt.VIEWS + rebuilt.REBUILD),
        migrations.DeleteModel(name="DailyTotalRebuild"),
        migrations.RunSQL(RETURNED, migrations.RunSQL.noop),
        migrations.RunSQL(ADJUSTMENTS, migrations.RunSQL.noop),
    ]
