from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0005_resumable_upload'),
    ]

    operations = [
        migrations.AddField(
            model_name='datasetversion',
            name='interruptions',
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
    ]
