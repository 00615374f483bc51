"""What people write about their things, beside the name.

The database has the defaults too: processes of the previous release insert rows without them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

MAX_TAG_LENGTH = 40


class Described(models.Model):
    """Tags to find it by, and notes to read."""

    tags = ArrayField(
        models.CharField(max_length=MAX_TAG_LENGTH), default=list, db_default=[], blank=True
    )
    notes = models.TextField(blank=True, default="", db_default="")

    class Meta:
        abstract = True
