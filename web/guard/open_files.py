"""A connection is an open file, and many systems allow a process 1,024 unless it asks for more."""

import resource


def raise_open_files_limit() -> None:
    """Allow this process as many as the system lets it have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
