from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('assistants', '0014_known_visitors'),
    ]

    operations = [
        migrations.AddField(
            model_name='decision',
            name='is_counted',
            field=models.BooleanField(db_default=True, default=False),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(condition=models.Q(('is_counted', False), ('route__in', ['answer', 'quote', 'written'])), fields=['at'], name='assistants_uncounted_answers'),
        ),
    ]
