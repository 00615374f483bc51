"""Which texts of the Python code people may see: read from the syntax tree, nothing is marked.

Code keeps its sentences in English, since the API answers in English and rows keep what was said.
A page translates a sentence when it shows it (`web.language.sentences`). So a text is its own
message id, and an f-string is one whose braces name what was put in: f"{token.name} no longer
works." is the message "{name} no longer works.".
"""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

# Where texts reach only programs, operators or developers: these stay English.
NOT_ON_PAGES = re.compile(
    r"(^|/)(tests|benchmarks|migrations|management|config|gateway|serving|openai|"
    r"api|reference|wechat|idempotency)/"
    r"|(^|/)(authentication|throttling|permissions|payloads|checks|demo\w*|parsers|icons)\.py$"
    r"|^inference/(batches|files|fine_tuning)/|^inference/models/(api_file|batch|__init__)\.py$"
    r"|^billing/stripe/(reconciliation|catalog|doctor|account|credit|operator_alerts|sync)\.py$"
    r"|^billing/stripe/usage_outbox/|^billing/stripe/webhooks/(dispatcher|handlers|views|inbox)\.py$"
    r"|^billing/models/stripe\w*\.py$|^engine/__main__\.py$"
    r"|^projects/(reading/parquet_size|profiling/column_profile|storage)\.py$|^web/validation/details\.py$"
    r"|^assistants/(prometheus|outgoing|voice/\w+_child|writing/(answering|instructions|upstream))\.py$"
    r"|^engine/(export/attention_heads|tasks/\w+/(onnx\w*|efficientnet))\.py$|^web/language/"
)
SILENT_CALLS = (
    *("log", "logger", "logging", "re.", "parser.", "cursor.", "warnings.warn"),
    "Counter",  # The descriptions of Prometheus's counters.
)
SILENT_ENDS = (".add_argument", ".add_parser", "ArgumentParser")
SILENT_ERRORS = {
    *("RuntimeError", "AssertionError", "NotImplementedError", "TypeError", "KeyError"),
    *("ImproperlyConfigured", "LookupError", "AttributeError", "TimeoutError", "OSError"),
}
SILENT_NAMES = {"__str__", "__repr__"}
CODE_LIKE = re.compile(
    r"^\s*(SELECT|UPDATE|INSERT|WITH|DELETE|CREATE|LISTEN|NOTIFY|SET|AND|FROM|WHERE|OR|ORDER|"
    r"LEFT|JOIN|UNION|CASE|GROUP|BY|DO|LOCK|ALTER|COPY|CALL|PRAGMA|DESCRIBE|ON CONFLICT)\b|<[a-zA-Z/!]|[\\^]|^\S*://\S*$|^[\w.-]+/"
    r"|\b\w+=\S|[;{]\s*$|;\s*\w+=|::|\bIS (NOT )?(NULL|DISTINCT)|\b(SELECT|UNPIVOT|FILTER) ?\("
    r"|\(SELECT |^\w+\(|^[\w.]+\[|\bAS Xx$| AS Xx \(|\b(DESC|LIMIT|QUALIFY|FORMAT parquet)\b|^@"
    r"|NOT IN \(|\bKV_METADATA\b"
    r"|^Xx (AS|>) |default-src|no-store"
)
PROSE = re.compile(r"[A-Za-z]{2,}[,:]? (?:& )?[(“\"'‘]?[A-Za-z0-9]")
WORD = re.compile(r"[A-Z][a-z]+(-[a-z]+)?")
ONE_OF_THEM = re.compile(r"(\{\w+\}(:| ·) )?1 [a-z]+")  # "1 row", beside "{count} rows".
PLACEHOLDER = re.compile(r"\{(\w*)\}")
MAX_VARIANTS = 8
MAX_LENGTH = 1000
MIN_LETTERS = 4  # Fixed letters beside values: fewer say nothing.


def texts_of(path: Path) -> Iterator[tuple[str | tuple[str, str], int]]:
    """The texts of one file, or pairs of singular and plural, with their lines."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant | ast.JoinedStr):
            for text in _variants(node):
                if is_shown(text):
                    yield text, node.lineno
        elif marked := _marked(node):
            yield marked, getattr(node, "lineno", 0)
        elif not _is_silent(node):
            if isinstance(node, ast.ClassDef):
                yield from _choice_labels(node) if _is_choices(node) else _field_labels(node)
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))
            continue
        if isinstance(node, ast.JoinedStr):  # What its braces hold may have texts of its own.
            waiting.extend(_values_within(node))


def _values_within(text: ast.JoinedStr) -> Iterator[ast.expr]:
    """What the braces of an f-string hold, less the words that its variants hold already."""
    for part in text.values:
        if isinstance(part, ast.FormattedValue):
            yield from _beside_words(part.value)


def _beside_words(value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(value, ast.IfExp):
        yield value.test
        for choice in (value.body, value.orelse):
            if isinstance(choice, ast.JoinedStr):
                yield from _values_within(choice)
            elif not isinstance(choice, ast.Constant):
                yield from _beside_words(choice)
    else:
        yield value


def _marked(node: ast.AST) -> str | tuple[str, str] | None:
    """What `gettext` and `ngettext` are given: Django's own way, where nothing is stored."""
    if not isinstance(node, ast.Call) or _dotted(node.func) not in {"gettext", "ngettext"}:
        return None
    texts = [str(one.value) for one in node.args[:2] if isinstance(one, ast.Constant)]
    if _dotted(node.func) == "ngettext" and len(texts) == 2:
        return texts[0], texts[1]
    return texts[0] if texts else None


def is_shown(text: str) -> bool:
    """Whether this is words for people, as far as its letters tell."""
    if WORD.fullmatch(text) or ONE_OF_THEM.fullmatch(text):
        return True
    if " " not in text or len(text) > MAX_LENGTH:
        return False
    fixed = PLACEHOLDER.sub("", text)
    if fixed != text and sum(map(str.isalpha, fixed)) < MIN_LETTERS:
        return False
    bare = PLACEHOLDER.sub("Xx", text)
    return bool(PROSE.search(bare)) and not CODE_LIKE.search(bare.strip())


def _is_silent(node: ast.AST) -> bool:
    """Docstrings, and what goes to logs, regular expressions and crashes."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Call):
        name = _dotted(node.func)
        return name in SILENT_ERRORS or name.startswith(SILENT_CALLS) or name.endswith(SILENT_ENDS)
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
    return isinstance(node, ast.FunctionDef) and node.name in SILENT_NAMES


def _dotted(value: ast.expr) -> str:
    """The name of what is called: "logger.info"."""
    if isinstance(value, ast.Attribute):
        return f"{_dotted(value.value)}.{value.attr}"
    return value.id if isinstance(value, ast.Name) else ""


def _is_choices(node: ast.ClassDef) -> bool:
    return any(_dotted(base).endswith(("TextChoices", "IntegerChoices")) for base in node.bases)


def _choice_labels(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    """Labels that Django makes of members' names, and the values, which pages show as well."""
    for line in node.body:
        if not isinstance(line, ast.Assign) or not isinstance(line.targets[0], ast.Name):
            continue
        if isinstance(line.value, ast.Constant):
            yield line.targets[0].id.replace("_", " ").title(), line.lineno
        value = line.value.elts[0] if isinstance(line.value, ast.Tuple) else line.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
            yield value.value.replace("_", " ").replace("-", " ").capitalize(), line.lineno


def _field_labels(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    """The labels that Django makes of the names of a form's fields."""
    if not any(_dotted(base).endswith("Form") for base in node.bases):
        return
    for line in node.body:
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Call):
            is_field = _dotted(line.value.func).endswith("Field")
            is_labelled = any(one.arg == "label" for one in line.value.keywords)
            if is_field and not is_labelled and isinstance(line.targets[0], ast.Name):
                yield line.targets[0].id.replace("_", " ").capitalize(), line.lineno


def _variants(node: ast.AST) -> list[str]:
    """A text as message ids: several where an f-string chooses between fixed words."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if not isinstance(node, ast.JoinedStr):
        return []
    names: dict[str, str] = {}
    parts: list[list[str]] = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append([str(part.value)])
        elif isinstance(part, ast.FormattedValue):
            parts.append(_choices(part.value, names))
    made = ["".join(chosen) for chosen in itertools.product(*parts)]
    return made[:MAX_VARIANTS]


def _choices(value: ast.expr, names: dict[str, str]) -> list[str]:
    """The fixed words of `a if b else c`, else one named placeholder."""
    if isinstance(value, ast.IfExp):
        return [*_choices(value.body, names), *_choices(value.orelse, names)]
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return [value.value]
    if isinstance(value, ast.JoinedStr):
        nested = [
            [str(part.value)] if isinstance(part, ast.Constant) else _choices(part.value, names)  # type: ignore[attr-defined]
            for part in value.values
        ]
        return ["".join(chosen) for chosen in itertools.product(*nested)]
    source = ast.unparse(value)
    if source not in names:
        name, number = _name_of(value), 2
        base = name
        while name in names.values():
            name, number = f"{base}_{number}", number + 1
        names[source] = name
    return [f"{{{names[source]}}}"]


def _name_of(value: ast.expr) -> str:
    """A short name for what an f-string puts in."""
    if isinstance(value, ast.Name):
        return value.id.strip("_").lower()
    if isinstance(value, ast.Attribute):
        return value.attr.strip("_").lower()
    if isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and value.func.attr in {
            *("join", "lower", "strip", "title", "replace", "rstrip", "capitalize"),
        }:
            inner = value.func.value if value.func.attr != "join" else (value.args or [value])[0]
            return _name_of(inner) if inner is not value else "value"
        if value.args and ast.unparse(value.func) in {"len", "str", "round", "abs", "int", "repr"}:
            return _name_of(value.args[0])
        return _name_of(value.func)
    if isinstance(value, ast.Subscript):
        key = value.slice
        if (
            isinstance(key, ast.Constant)
            and isinstance(key.value, str)
            and key.value.isidentifier()
        ):
            return key.value.lower()
        return _name_of(value.value)
    if isinstance(value, ast.BinOp):
        return _name_of(value.left)
    return "value"
