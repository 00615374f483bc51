"""What the documents name exists: files, modules, functions and make targets."""

import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *sorted((PROJECT / "docs").rglob("*.md")),
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
]
TOP_LEVEL = sorted(
    path.name for path in PROJECT.iterdir() if path.is_dir() and not path.name.startswith(".")
)
# Made when the product runs or by those who read.
NOT_IN_THE_TREE = ("var/", "node_modules/")
# Words of SQL, and names of nginx and torch.
NOT_OURS = re.compile(r"^(proxy_|client_|limit_conn)|_state_dict$|^(SKIP|LOCKED|VALID)$")
INLINE_CODE = re.compile(r"`([^`\n]+)`")
FENCED_CODE = re.compile(r"^```.*?^```$", re.S | re.M)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"(?<![\w./<-])((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|toml|txt|in))(?![\w/<…-])")
MODULE = re.compile(rf"(?<![\w./-])((?:{'|'.join(TOP_LEVEL)})(?:\.\w+)+)")
# With an underscore, in capitals, or two words in one.
IDENTIFIER = re.compile(r"(?<![\w-])([A-Za-z]\w*_\w+|[A-Z]{4,}|[A-Z][a-z]+[A-Z]\w+)\b")
MAKE_TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")


def name_of(document: Path) -> str:
    return str(document.relative_to(PROJECT))


@cache
def text_of(document: Path) -> str:
    return document.read_text()


@cache
def code_of(document: Path) -> str:
    """All that is set as code, without fences' prose: where names of ours stand."""
    text = text_of(document)
    fenced = FENCED_CODE.findall(text)
    return "\n".join([*INLINE_CODE.findall(FENCED_CODE.sub("", text)), *fenced])


def exists(path: str, beside: Path) -> bool:
    return any((folder / path).exists() for folder in (PROJECT, beside.parent))


def named_paths(document: Path) -> set[str]:
    """Paths below one of our folders, and documents and settings at the top."""
    paths = {match.rstrip(".") for match in PATH.findall(code_of(document))}
    return {
        path
        for path in paths
        if not path.startswith(NOT_IN_THE_TREE)
        and ("/" not in path or path.split("/")[0] in {*TOP_LEVEL, ".ci"})
        and not path.endswith("://")
    }


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a file's path, a module, or what a module defines."""
    parts = dotted.split(".")
    if (PROJECT / dotted).exists() or (PROJECT / "/".join(parts[:-1])).with_suffix(
        f".{parts[-1]}"
    ).exists():
        return True
    for length in range(len(parts), 0, -1):
        folder = PROJECT.joinpath(*parts[:length])
        source = folder.with_suffix(".py") if folder.with_suffix(".py").exists() else folder
        if source.is_dir():
            source = source / "__init__.py"
            if not source.exists():
                return length == len(parts)
        if source.exists():
            rest = parts[length:]
            return (
                not rest or re.search(rf"\b{re.escape(rest[0])}\b", source.read_text()) is not None
            )
    return False


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_path_a_document_names_exists(document):
    assert [path for path in sorted(named_paths(document)) if not exists(path, document)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_module_a_document_names_exists(document):
    assert [
        name for name in sorted(set(MODULE.findall(code_of(document)))) if not resolves(name)
    ] == []


@cache
def words_of_the_code() -> set[str]:
    folders = [PROJECT / name for name in TOP_LEVEL if name not in {"node_modules", "var"}]
    paths = [*PROJECT.glob("*"), *(path for folder in folders for path in folder.rglob("*"))]
    kinds = {".py", ".html", ".js", ".yaml", ".c", ".toml", ".json"}
    texts = [path.read_text() for path in paths if path.suffix in kinds]
    return {*re.findall(r"\w+", "\n".join(texts)), *(path.stem for path in paths)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_class_function_and_setting_a_document_names_exists(document):
    names = set(IDENTIFIER.findall(" ".join(INLINE_CODE.findall(text_of(document)))))
    # A counter of Prometheus is told with "_total", a setting is read from the file in NAME_FILE.
    plain = {name.removesuffix("_total").removesuffix("_FILE") for name in names}
    assert {name for name in plain - words_of_the_code() if not NOT_OURS.search(name)} == set()


def test_every_setting_is_listed_with_its_meaning():
    listed = re.findall(r"^# ([A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.M)
    read = re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', (PROJECT / "config/settings.py").read_text())
    assert len(read) > 50
    assert set(read) - set(listed) == {"EMAIL_VERIFICATION"}  # The former name of another.


def test_a_decision_has_the_number_of_its_file():
    headings = {
        path.name: path.read_text().split("\n", 1)[0]
        for path in (PROJECT / "docs/decisions").glob("*.md")
    }
    assert {
        name: heading
        for name, heading in headings.items()
        if not heading.startswith(f"# {int(name[:4])}. ")
    } == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_of_a_document_leads_somewhere(document):
    local = [link for link in LINK.findall(text_of(document)) if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_make_target_a_document_names_exists(document):
    targets = set(re.findall(r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(), re.M))
    assert set(MAKE_TARGET.findall(code_of(document))) <= targets


def test_the_check_finds_a_path_and_a_module_that_are_gone(tmp_path):
    document = tmp_path / "made_up.md"
    document.write_text("See `web/nowhere.py`, `web.nowhere.thing`, `web/api.py` and `web.api`.\n")
    assert [path for path in named_paths(document) if not exists(path, document)] == [
        "web/nowhere.py"
    ]
    names = set(MODULE.findall(code_of(document)))
    assert [name for name in names if not resolves(name)] == ["web.nowhere.thing"]


def test_the_glossary_stays_short():
    rows = re.findall(r"^\| (?!word|---)", (PROJECT / "docs/glossary.md").read_text(), re.M)
    assert 0 < len(rows) <= 40


def test_the_readme_names_every_folder():
    table = text_of(PROJECT / "README.md").partition("## Folders")[2]
    tracked = {path.name for path in PROJECT.iterdir() if (path / "__init__.py").exists()}
    assert {name for name in tracked if f"`{name}/`" not in table} == set()


def test_every_template_that_code_or_templates_name_exists():
    sources = [
        *(
            path
            for package in TOP_LEVEL
            if package not in {"tests", "node_modules", "var"}
            for path in (PROJECT / package).rglob("*.py")
        ),
        *(PROJECT / "templates").rglob("*.html"),
    ]
    ours = {path.name for path in (PROJECT / "templates").iterdir() if path.is_dir()}
    named = {
        name
        for path in sources
        for name in re.findall(r"""["']([\w/]+\.(?:html|txt))["']""", path.read_text())
        if name.split("/")[0] in ours - {"admin", "account", "allauth", "mfa"}
    }
    assert {name for name in named if not (PROJECT / "templates" / name).exists()} == set()
