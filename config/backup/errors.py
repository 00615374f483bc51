"""What goes wrong, in a sentence for the operator."""


class BackupError(Exception):
    """Nothing was saved or restored; the message says why and what to do."""
