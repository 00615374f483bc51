"""Finds the picture that a table names by a path, a file name, or a name without its suffix."""

from collections.abc import Sequence

from projects.reading.images.zip_archive import ZipEntry

NO_SUCH_PICTURE = "no such picture is in the archive."
SEVERAL_PICTURES = "several pictures have this name; write the folder too."


class PictureNames:
    """The pictures of an archive by every name that tables give them."""

    def __init__(self, entries: Sequence[ZipEntry]) -> None:
        self._by_key: dict[str, list[ZipEntry]] = {}
        for entry in entries:
            if not entry.is_image:
                continue
            for key in _keys(entry):
                self._by_key.setdefault(key, []).append(entry)

    def find(self, written: str, folder: tuple[str, ...]) -> ZipEntry | str:
        """The picture that a table in `folder` names as `written`, or a sentence why there is none.

        A whole path is preferred to a file name, the same case to another, and the table's own
        folder to the rest of the archive.
        """
        parts = [part for part in written.strip().replace("\\", "/").split("/") if part]
        parts = [part for part in parts if part != "."]
        if not parts:
            return NO_SUCH_PICTURE
        for start in range(len(parts)):
            path = "/".join(parts[start:])
            for key in (path, path.casefold()):
                entries = self._by_key.get(key, [])
                inside = [entry for entry in entries if entry.parts[: len(folder)] == folder]
                chosen = inside if inside and len(entries) > 1 else entries
                whole = [entry for entry in chosen if "/".join(entry.parts[len(folder) :]) == path]
                if len(whole) == 1 or len(chosen) == 1:
                    return whole[0] if len(whole) == 1 else chosen[0]
                if chosen:
                    return SEVERAL_PICTURES
        return NO_SUCH_PICTURE

    def count_known(self, cells: Sequence[str], folder: tuple[str, ...]) -> int:
        """How many of the cells name a picture."""
        return sum(self.find(cell, folder) != NO_SUCH_PICTURE for cell in cells if cell)


def _keys(entry: ZipEntry) -> set[str]:
    """Every tail of the path, with and without the file's suffix, as written and in lower case."""
    keys = set()
    for start in range(len(entry.parts)):
        path = "/".join(entry.parts[start:])
        stem = path.rsplit(".", 1)[0]
        keys |= {path, stem, path.casefold(), stem.casefold()}
    return keys
