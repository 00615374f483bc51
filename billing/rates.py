"""Prices change by a new row: the old one ends where the new one begins."""

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.timezone import now

from billing.models import Rate
from web.enqueue import enqueue_on_commit
from web.errors import UserError


class BadRate(UserError):
    code, status = "bad_rate", 400


@transaction.atomic
def supersede(sku: str, nano_per_unit: int) -> Rate:
    """Price a SKU from now on. Runs that began before keep the rate they began with."""
    if nano_per_unit < 0:
        raise BadRate("A rate cannot be negative.", param="nano_per_unit")
    moment = now()
    for current in Rate.objects.select_for_update().filter(sku=sku, valid__contains=moment):
        Rate.objects.filter(pk=current.pk).update(
            valid=DateTimeTZRange(current.valid.lower, moment)
        )
    enqueue_on_commit("billing.tasks.keep_catalog")
    return Rate.objects.create(
        sku=sku, nano_per_unit=nano_per_unit, valid=DateTimeTZRange(moment, None)
    )
