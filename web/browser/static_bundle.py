"""One stylesheet and one script, put together from the files that people edit.

`static/css/lathe.css` says in which layers our styles come; what it imports is written into it,
after the vendors' styles. A finder makes the two files, so that `collectstatic` hashes and
compresses them like any other, and a development server sees each change at once.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

STATIC_DIR = Path(settings.BASE_DIR) / "static"
NODE_MODULES = Path(settings.BASE_DIR) / "node_modules"
VENDOR_STYLES = ("basecoat-css/dist/basecoat.cdn.min.css", "uplot/dist/uPlot.min.css")
STYLE_SOURCE = STATIC_DIR / "css" / "lathe.css"
SCRIPT_FOLDER = STATIC_DIR / "js" / "app"
IMPORT = re.compile(r'@import url\("(?P<file>[\w.-]+)"\)(?: layer\((?P<layer>\w+)\))?;')
STYLESHEET, SCRIPT = "css/app.css", "js/app.js"


def build_stylesheet() -> str:
    """The layers' order, the vendors' styles, then ours in their layers."""
    source = STYLE_SOURCE.read_text()
    order = re.search(r"@layer [\w, ]+;", source)
    assert order is not None
    own = []
    for match in IMPORT.finditer(source):
        styles = (STYLE_SOURCE.parent / match["file"]).read_text()
        own.append(f"@layer {match['layer']} {{\n{styles}}}\n" if match["layer"] else styles)
    return "\n".join([order.group(), *(path.read_text() for path in _vendor_styles()), *own])


def build_script() -> str:
    return "\n".join(path.read_text() for path in sorted(SCRIPT_FOLDER.glob("*.js")))


def source_files() -> list[Path]:
    """What the two files are made from, this module included."""
    return [
        Path(__file__),
        *_vendor_styles(),
        *sorted(STYLE_SOURCE.parent.glob("*.css")),
        *sorted(SCRIPT_FOLDER.glob("*.js")),
    ]


def _vendor_styles() -> list[Path]:
    return [path for name in VENDOR_STYLES if (path := NODE_MODULES / name).is_file()]


class BundleFinder(BaseFinder):
    """Finds the two files, and makes them anew when one of their sources changed."""

    builders = {STYLESHEET: build_stylesheet, SCRIPT: build_script}

    def __init__(self, app_names: Any = None, *args: Any, **kwargs: Any) -> None:
        self.storage = FileSystemStorage(location=settings.VAR_DIR / "bundles")
        super().__init__(*args, **kwargs)

    def find(self, path: str, find_all: bool = False, **_: Any) -> Any:
        if path not in self.builders:
            return []
        made = str(self._make(path))
        return [made] if find_all else made

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        for name in self.builders:
            self._make(name)
            yield name, self.storage

    def _make(self, name: str) -> Path:
        target = Path(self.storage.path(name))
        newest = max(path.stat().st_mtime for path in source_files())
        if not target.exists() or target.stat().st_mtime < newest:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f"{target.name}.draft")
            draft.write_text(self.builders[name]())
            draft.replace(target)
        return target
