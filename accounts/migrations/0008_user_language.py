from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_words_of_choices")]
    operations = [
        migrations.AddField(
            model_name="user",
            name="language",
            field=models.CharField(
                blank=True,
                choices=[("en", "English"), ("zh-hans", "简体中文")],
                # The release before this one inserts users without it.
                db_default="",
                default="",
                max_length=10,
            ),
        ),
    ]
