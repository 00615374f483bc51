"""Fields get standard names; their columns, and so the database, stay as they are."""

from django.db import migrations, models
from django.db.models import F, Q

RENAMED = {
    "budget": {
        "calm_until": (
            "hold_exempt_until",
            models.DateTimeField(blank=True, db_column="calm_until", null=True),
        ),
        "told_percent": (
            "last_alerted_percent",
            models.PositiveSmallIntegerField(db_column="told_percent", default=0),
        ),
    },
    "meteredrun": {
        "alive_ms": ("uptime_ms", models.BigIntegerField(db_column="alive_ms", default=0)),
        "free_ms": ("unbilled_ms", models.BigIntegerField(db_column="free_ms", default=0)),
        "funded_ms": (
            "reserved_until_ms",
            models.BigIntegerField(db_column="funded_ms", default=0),
        ),
        "kept_ms": ("checkpointed_ms", models.BigIntegerField(db_column="kept_ms", default=0)),
    },
    "stripeoutbox": {
        "seq": ("sequence", models.PositiveIntegerField(db_column="seq")),
        "via": (
            "channel",
            models.CharField(
                choices=[("event", "meter event"), ("item", "invoice item")],
                db_column="via",
                default="event",
                max_length=5,
            ),
        ),
        "gen": (
            "idempotency_generation",
            models.PositiveIntegerField(db_column="gen", default=0),
        ),
        "copy": ("identifier_suffix", models.PositiveIntegerField(db_column="copy", default=0)),
        "must_ask": (
            "verify_before_send",
            models.BooleanField(db_column="must_ask", default=False),
        ),
    },
}
# Constraints name fields; these are the ones above.
CONSTRAINTS = {
    "meteredrun": [
        models.CheckConstraint(
            condition=Q(billed_ms__gte=0, checkpointed_ms__gte=0, reserved_micro__gte=0)
            & Q(checkpointed_ms__lte=F("billed_ms")),
            name="billing_run_amounts_not_negative",
        ),
        models.CheckConstraint(
            condition=Q(ended_at__isnull=False) | Q(billed_ms__lte=F("reserved_until_ms")),
            name="billing_run_billed_within_what_is_funded",
        ),
    ],
    "stripeoutbox": [
        models.UniqueConstraint(
            fields=("team", "meter", "sequence"), name="billing_outbox_seq_once"
        ),
        models.CheckConstraint(
            condition=Q(kind="usage", value__gt=0, minute__isnull=False)
            | Q(kind="correction", value__lt=0, minute__isnull=False, entry__isnull=False)
            | Q(kind="money", value=0, minute=None, channel="item")
            & (Q(entry__isnull=False) | Q(settles__isnull=False)),
            name="billing_outbox_sign_by_kind",
        ),
    ],
}


class Migration(migrations.Migration):
    dependencies = [("billing", "0017_standard_names")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                *(
                    migrations.RemoveConstraint(model, constraint.name)
                    for model, constraints in CONSTRAINTS.items()
                    for constraint in constraints
                ),
                *(
                    operation
                    for model, fields in RENAMED.items()
                    for old, (new, field) in fields.items()
                    for operation in (
                        migrations.RenameField(model, old, new),
                        migrations.AlterField(model, new, field),
                    )
                ),
                *(
                    migrations.AddConstraint(model, constraint)
                    for model, constraints in CONSTRAINTS.items()
                    for constraint in constraints
                ),
            ]
        )
    ]
