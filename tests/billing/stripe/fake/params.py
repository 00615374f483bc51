"""Parameters as Stripe's own library types them, so that a fake accepts what Stripe knows only."""

import re
import sys
import typing
from functools import lru_cache
from importlib import import_module
from types import UnionType
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from stripe._request_options import RequestOptions
from typing_extensions import is_typeddict

OPTIONS = set(RequestOptions.__annotations__)
PART = re.compile(r"\[([^\]]*)\]")


class Unacceptable(Exception):
    """A parameter that Stripe would refuse."""

    def __init__(self, message: str, param: str, code: str = "parameter_unknown") -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code


def decode(text: str) -> dict[str, Any]:
    """`a[b][0][c]=1` as nested dicts and lists; every value is a string."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = [name.split("[", 1)[0], *PART.findall(name)]
        *folders, last = [head, *rest]
        place = root
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return {key: _listed(value) for key, value in root.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(item) for key, item in value.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


@lru_cache(maxsize=64)
def _typed(module: str, name: str) -> Any:
    return getattr(import_module(f"stripe.params.{module}"), name)


@lru_cache(maxsize=512)
def _hints(kind: Any) -> dict[str, Any]:
    names = {**vars(typing), "StripeContext": object, **vars(sys.modules[kind.__module__])}
    return get_type_hints(kind, names, include_extras=True)


def check(params: Any, module: str, name: str) -> None:
    """Refuse parameters, at any depth, that the library's `name` does not list, or that miss."""
    _check(params, _typed(module, name), "")


def _check(value: Any, hint: Any, path: str) -> None:
    origin = get_origin(hint)
    if origin in {NotRequired, Required}:
        return _check(value, get_args(hint)[0], path)
    if origin in {Union, UnionType}:
        return _check_any(value, get_args(hint), path)
    if is_typeddict(hint):
        return _check_fields(value, hint, path)
    if origin is list:
        if not isinstance(value, list):
            raise Unacceptable(f"Invalid array: {path}", path, "parameter_invalid")
        for number, item in enumerate(value):
            _check(item, get_args(hint)[0], f"{path}[{number}]")
    elif origin is Literal:
        if value not in get_args(hint):
            raise Unacceptable(f"Invalid {path}: {value}", path, "parameter_invalid")
    else:
        _check_scalar(value, hint, path)
    return None


def _check_scalar(value: Any, hint: Any, path: str) -> None:
    if hint is int and not re.fullmatch(r"-?\d+", str(value)):
        raise Unacceptable(f"Invalid integer: {value}", path, "parameter_invalid_integer")
    if hint is bool and value not in {"true", "false", True, False}:
        raise Unacceptable(f"Invalid boolean: {value}", path, "parameter_invalid")


def _check_any(value: Any, hints: tuple[Any, ...], path: str) -> None:
    # A closed list of words that is open to any string in the library is closed at Stripe.
    closed = [hint for hint in hints if get_origin(hint) is Literal]
    hints = tuple(hint for hint in hints if not (closed and hint is str))
    problems = []
    for hint in hints:
        try:
            return _check(value, hint, path)
        except Unacceptable as problem:
            problems.append(problem)
    raise problems[-1]


def _check_fields(value: Any, hint: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise Unacceptable(f"Invalid object: {path}", path, "parameter_invalid")
    hints = {key: kind for key, kind in _hints(hint).items() if key not in OPTIONS}
    for key, item in value.items():
        inner = f"{path}[{key}]" if path else key
        if key not in hints:
            raise Unacceptable(f"Received unknown parameter: {inner}", inner)
        _check(item, hints[key], inner)
    for key in sorted(hint.__required_keys__ & set(hints)):
        if key not in value:
            inner = f"{path}[{key}]" if path else key
            raise Unacceptable(f"Missing required param: {inner}.", inner, "parameter_missing")
