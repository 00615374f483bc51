"""What you own: projects, datasets and their immutable versions."""

from projects.models.dataset import Dataset, DatasetVersion, ImportStatus
from projects.models.project import Project
from projects.models.resumable_upload import ResumableUpload

__all__ = ["Dataset", "DatasetVersion", "ImportStatus", "Project", "ResumableUpload"]
