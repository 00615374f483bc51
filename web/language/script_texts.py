"""Which texts of the browser scripts are translated: those given to `latheText`."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from django.conf import settings

TEXT = re.compile(r'latheText\(\s*"((?:[^"\\]|\\.)*)"')


def files(root: Path) -> list[Path]:
    return sorted((root / "static" / "js" / "app").glob("*.js"))


def texts_of(path: Path) -> Iterator[str]:
    for match in TEXT.finditer(path.read_text()):
        yield match[1].replace('\\"', '"')


@lru_cache(maxsize=1)
def all_texts() -> tuple[str, ...]:
    """Every text of the scripts, which a page carries translated: see `{% script_texts %}`."""
    root = Path(settings.BASE_DIR)
    return tuple(dict.fromkeys(text for path in files(root) for text in texts_of(path)))
