"""The admin of jobs and compute. Django finds it here; each module registers its own."""

from training.admin import compute, jobs

__all__ = ["compute", "jobs"]
