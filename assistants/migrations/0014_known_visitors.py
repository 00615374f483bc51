from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('assistants', '0013_originals'),
    ]

    operations = [
        migrations.AddField(
            model_name='visitor',
            name='locale',
            field=models.CharField(blank=True, db_default='', default='', max_length=35),
        ),
        migrations.AddField(
            model_name='visitor',
            name='verified',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
