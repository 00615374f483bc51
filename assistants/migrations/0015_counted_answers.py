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
    ]
