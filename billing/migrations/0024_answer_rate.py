"""Answers of assistants are counted; they are free until somebody sets a rate."""

from django.db import migrations

ADD = """
INSERT INTO billing_rate (sku, nano_per_unit, valid, stripe_price_id, stripe_account)
SELECT 'assistant-answers', 0, tstzrange('2020-01-01', NULL), '', ''
WHERE NOT EXISTS (SELECT FROM billing_rate WHERE sku = 'assistant-answers');
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0023_upstream_rate")]
    operations = [migrations.RunSQL(ADD, migrations.RunSQL.noop)]
