"""The stored files: copied out of, and into, whatever storage is configured."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.core.files.storage import default_storage

from config.backup.errors import BackupError
from config.backup.manifest import FileFacts, copy_and_digest
from projects import storage

CLOCKS_DIFFER = timedelta(minutes=5)  # Between us and the storage, at most.


class ObjectsCopy:
    """A growing copy of the storage in a folder.

    A file may be written before the rows that name it, and deleted after them. So files are copied
    before the database is dumped and again, as far as they are new, afterwards: between them, both
    passes hold every file that a row of the dump names.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copied_at = datetime.min.replace(tzinfo=UTC)
        self.files: dict[str, FileFacts] = {}
        folder.mkdir()

    def copy_new_files(self) -> None:
        """Every file that is not in the copy, or was written since the copy began."""
        began = datetime.now(UTC)
        for key in storage.iter_files():
            try:
                if (
                    key not in self.files
                    or default_storage.get_modified_time(key) > self._copied_at - CLOCKS_DIFFER
                ):
                    self._copy(key)
            except FileNotFoundError:  # Deleted meanwhile.
                continue
        self._copied_at = began

    def _copy(self, key: str) -> None:
        path, draft = self._folder / key, self._folder.with_name("object.new")
        with storage.open_file(key) as source, draft.open("wb") as sink:
            facts = copy_and_digest(source, sink)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(path)
        self.files[key] = facts


def require_room(files: dict[str, FileFacts]) -> None:
    """Raises BackupError when the storage holds anything that is not of this backup.

    Files of this backup may be there: an earlier restore was interrupted.
    """
    strangers = [key for key in storage.iter_files() if key not in files]
    if strangers:
        raise BackupError(
            f"The storage is not empty: it holds {len(strangers)} files that this backup does not, "
            f"the first is {strangers[0]}. Name an empty one in STORAGE_URL."
        )


def put_back(folder: Path, files: dict[str, FileFacts]) -> None:
    """Store every file under its key, and read each again. Raises BackupError."""
    for key, facts in files.items():
        storage.put_file(key, folder / key)
        with storage.open_file(key) as source, Path("/dev/null").open("wb") as nowhere:
            if copy_and_digest(source, nowhere) != facts:
                raise BackupError(f"The storage does not keep {key} as it was given to it.")
