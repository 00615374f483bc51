"""Cells of CSV files that no spreadsheet runs."""

# Also as Excel and LibreOffice read full-width signs and what stands behind blanks.
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def escape_formula(text: str) -> str:
    """The text, which a spreadsheet shows and does not take for a formula."""
    return f"'{text}" if text.startswith(FORMULA_PREFIXES) else text
