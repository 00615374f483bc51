"""Whether a DOUBLE holds the number that a text states without rounding.

A DOUBLE holds any 15 significant digits. Programs print a DOUBLE with 16 or more, such as
0.30000000000000004 or numpy's 1.000000000000000056e-01; such a text is the DOUBLE's own. Any other
text of so many digits, such as an id of 18 digits, would be rounded.
"""

import math
import re

MAX_DIGITS = 15  # Above 2**53 a DOUBLE no longer tells neighbours apart.
PRINTED_DIGITS = range(16, 26)  # How many digits programs print of a DOUBLE.
SHORT_CHARS = 16  # A sign or a point and 15 digits.


def keeps_digits(text: str) -> bool:
    """Whether the DOUBLE of a plain number's text is exactly that number."""
    value, digits = float(text), _significant(text)
    if not math.isfinite(value) or (digits and not value):
        return False
    if len(digits) <= MAX_DIGITS:
        return True
    written = len(re.sub(r"[eE].*|\D", "", text).lstrip("0"))
    if written not in PRINTED_DIGITS:
        return False
    return digits == _significant(f"{value:.{written - 1}e}")


def _significant(text: str) -> str:
    return re.sub(r"[eE].*|\D", "", text).strip("0")


def keeps_digits_sql(text: str, value: str) -> str:
    """SQL for `keeps_digits`, of a text expression and its DOUBLE, neither NULL nor blank."""
    digits = _significant_sql(text)
    printed = ", ".join(
        _significant_sql(f"printf('%.{count - 1}e', {value})") for count in PRINTED_DIGITS
    )
    return (
        f"CASE WHEN {value} IS NULL OR isinf({value}) THEN false"
        f" WHEN strlen({text}) <= {SHORT_CHARS} AND {value} <> 0 THEN true"
        f" WHEN {value}::VARCHAR = {text} THEN true"
        f" WHEN {value} = 0 THEN {digits} = ''"
        f" WHEN strlen({digits}) <= {MAX_DIGITS} THEN true"
        f" ELSE {digits} IN ({printed}) END"
    )


def _significant_sql(text: str) -> str:
    mantissa = rf"regexp_replace({text}, '[eE][-+]?[0-9]+.*$', '')"
    return rf"trim(regexp_replace({mantissa}, '[^0-9]', '', 'g'), '0')"
