from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('assistants', '0015_counted_answers'),
    ]

    operations = [
        migrations.AddField(
            model_name='shadowdecision',
            name='awaiting',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='shadowdecision',
            name='captured',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
        migrations.AddField(
            model_name='shadowdecision',
            name='refusals_running',
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
    ]
