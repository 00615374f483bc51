from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_webhook_attempts")]
    operations = [
        migrations.AddField(
            model_name="membership",
            name="email_pace",
            field=models.CharField(
                choices=[
                    ("at_once", "As it happens"),
                    ("daily", "Once a day, all in one e-mail"),
                    ("never", "No e-mail at all"),
                ],
                default="at_once",
                max_length=7,
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(("email_pace__in", ["at_once", "daily", "never"])),
                name="accounts_membership_known_pace",
            ),
        ),
        migrations.AddField(
            model_name="noticeemail",
            name="in_digest",
            field=models.BooleanField(default=False),
        ),
    ]
