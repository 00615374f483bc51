"""How scalar equality is put into exclusion constraints."""

from django.db.models import F, Func, Value


def single_value_range(field: str, range_type: str) -> Func:
    """The range holding exactly this field's value: two of them overlap when they are equal.

    GiST indexes ranges natively, whereas scalar equality needs the btree_gist extension, which
    neither the embedded PostgreSQL nor every managed one offers.
    """
    return Func(F(field), F(field), Value("[]"), function=range_type)
