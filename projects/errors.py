"""What can go wrong with a project's data, in sentences for people."""

from web.errors import UserError


class StaleImportState(Exception):
    """Another worker finished this import first: an ordinary answer, not an error."""


class ImportInterrupted(Exception):
    """Something outside ended the process that read the file: nothing is known about the file."""


class DatasetPurged(UserError):
    code, status = "dataset_purged", 410
    sentence = "This dataset was in the trash for too long and is deleted."


class BadUpload(UserError):
    code, status = "bad_upload", 400
    sentence = "This file cannot be read as a table."


class UploadTooLarge(UserError):
    code, status = "upload_too_large", 413
    sentence = "This file is larger than this server accepts."


class UploadOutOfStep(UserError):
    code, status = "upload_out_of_step", 409
    sentence = "Other bytes are missing next. Ask how many are here, and go on from there."


class TooManyUploads(UserError):
    code, status = "too_many_uploads", 429
    sentence = "Too many files of yours are on their way already. Finish or cancel one."


class UnknownReading(UserError):
    code, status = "unknown_reading", 400
    sentence = "This column cannot be read in that way."


class EditsWouldBeLost(UserError):
    code, status = "edits_would_be_lost", 409
    sentence = "Edits hold only for the table as it is read now."


class BadEdit(UserError):
    code, status = "bad_edit", 400
    sentence = "This table cannot be edited in this way."


class BadRowQuery(UserError):
    code, status = "bad_row_query", 400
    sentence = "These rows cannot be asked for in this way."


class TooManyRows(BadRowQuery):
    sentence = "More rows match than are changed at once. Filter further."


class DatasetNotReady(UserError):
    code, status = "dataset_not_ready", 409
    sentence = "This dataset is still importing. Wait until it is ready, then launch."
