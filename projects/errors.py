"""What can go wrong with a project's data, in sentences for people."""

from web.errors import UserError


class ImportMovedOn(Exception):
    """Another worker finished this import first: an ordinary answer, not an error."""


class BadUpload(UserError):
    code, status = "bad_upload", 400
    sentence = "This file cannot be read as a table."


class UploadTooLarge(UserError):
    code, status = "upload_too_large", 413
    sentence = "This file is larger than this server accepts."


class DatasetNotReady(UserError):
    code, status = "dataset_not_ready", 409
    sentence = "This dataset is still importing. Wait until it is ready, then launch."
