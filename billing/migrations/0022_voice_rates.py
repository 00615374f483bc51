"""Speech that assistants hear and speak is counted; it is free until somebody sets a rate."""

from django.db import migrations

ADD = """
INSERT INTO billing_rate (sku, nano_per_unit, valid, stripe_price_id, stripe_account)
SELECT voice.sku, 0, tstzrange('2020-01-01', NULL), '', ''
FROM unnest(ARRAY['voice-in-seconds', 'voice-out-characters']) AS voice(sku)
WHERE NOT EXISTS (SELECT FROM billing_rate rate WHERE rate.sku = voice.sku);
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0021_drop_unused_columns")]
    operations = [migrations.RunSQL(ADD, migrations.RunSQL.noop)]
