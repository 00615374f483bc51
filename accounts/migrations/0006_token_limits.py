import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_plurals'),
    ]

    operations = [
        migrations.AddField(
            model_name='apitoken',
            name='allowed_models',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=300), blank=True, db_default=[], default=list, size=None),
        ),
        migrations.AddField(
            model_name='apitoken',
            name='budget_micro',
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='apitoken',
            name='previous_digest',
            field=models.CharField(editable=False, max_length=64, null=True, unique=True),
        ),
        migrations.AddField(
            model_name='apitoken',
            name='previous_until',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='apitoken',
            name='requests_per_minute',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='apitoken',
            name='rotated_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
