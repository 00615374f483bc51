from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Messages and decisions are many: they are written to while these indexes are made."""

    atomic = False

    dependencies = [
        ('assistants', '0017_measured_share'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('original', ''), _negated=True), fields=['at'], name='assistants_message_originals'),
        ),
        AddIndexConcurrently(
            model_name='decision',
            index=models.Index(condition=models.Q(('is_counted', False), ('route__in', ['answer', 'quote', 'written'])), fields=['at'], name='assistants_uncounted_answers'),
        ),
    ]
