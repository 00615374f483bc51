import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0006_openai_api'),
        ('training', '0012_initial_model'),
        ('accounts', '0006_token_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='deployment',
            name='checkpoint',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='training.checkpoint'),
        ),
        migrations.AddField(
            model_name='deployment',
            name='previous_model',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='training.trainedmodel'),
        ),
        migrations.AddField(
            model_name='deployment',
            name='canary_model',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='training.trainedmodel'),
        ),
        migrations.AddField(
            model_name='deployment',
            name='canary_percent',
            field=models.PositiveSmallIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='shadow_model',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='training.trainedmodel'),
        ),
        migrations.AddConstraint(
            model_name='deployment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('canary_model', None), ('canary_percent', None)), models.Q(('canary_model__isnull', False), ('canary_percent__range', (1, 99))), _connector='OR'), name='inference_deployment_canary_has_a_share'),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='model_key',
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='shadow_answers',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='shadow_latency_ms',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='batch',
            name='token',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.apitoken'),
        ),
        migrations.AlterField(
            model_name='finetuningjob',
            name='model',
            field=models.CharField(max_length=300),
        ),
    ]
