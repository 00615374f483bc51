"""Models get standard names; their tables stay as they are."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

RENAMED = {"DayRebuild": "DailyTotalRebuild", "Reported": "MeterProgress"}


def rename_permissions(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Django renames a model's content type, but not the permissions that groups were given."""
    permissions = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="billing"
    )
    for old, new in RENAMED.items():
        for permission in permissions.filter(codename__endswith=f"_{old.lower()}"):
            permission.codename = permission.codename.replace(old.lower(), new.lower())
            permission.save(update_fields=["codename"])


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0016_plurals"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelTable("DayRebuild", "billing_dayrebuild"),
        migrations.RenameModel("DayRebuild", "DailyTotalRebuild"),
        migrations.AlterModelTable("Reported", "billing_reported"),
        migrations.RenameModel("Reported", "MeterProgress"),
        migrations.RunPython(rename_permissions, migrations.RunPython.noop),
    ]
