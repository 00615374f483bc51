import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('training', '0011_announced_cost'),
    ]

    operations = [
        migrations.AddField(
            model_name='trainingjob',
            name='initial_model',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='continuations', to='training.trainedmodel'),
        ),
    ]
