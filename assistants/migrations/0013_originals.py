from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('assistants', '0012_frozen_writer'),
    ]

    operations = [
        migrations.AddField(
            model_name='assistant',
            name='original_days',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='message',
            name='original',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
    ]
