"""Holds recorded requests against the parameters that the installed library knows.

Stripe generates the library from its own specification, but the library checks nothing at run
time: a misspelt parameter goes out. The types of its parameters are read here while they are
needed. `python -m tests.payouts.stripe_requests FILE` prints what Stripe would refuse.
"""

import functools
import importlib
import json
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union
from urllib.parse import urlsplit

import stripe
import typing_extensions
from stripe._request_options import RequestOptions

from payouts.sandbox.params import from_form, from_json
from payouts.sandbox.refusal import Refusal

METHOD = re.compile(r"\n    def ")
REQUEST = re.compile(r'self\._request\(\s*"(\w+)",\s*"(/v1/[^"]+)"')
PARAMS = re.compile(r'params:[^=]*?"(\w+Params)"')
IMPORT = re.compile(r"from (stripe\.params[\w.]*) import \(?\s*(\w+)")
NUMBERS = {int: r"-?\d+", float: r"-?\d+(\.\d+)?", Decimal: r"-?\d+(\.\d+)?", bool: "true|false"}
OPTIONAL = (typing.NotRequired, typing_extensions.NotRequired)
OPTIONS = frozenset(RequestOptions.__annotations__)
"""Keys of every parameter type that go out as headers."""

Item = TypeVar("Item")


class Untyped(Generic[Item]):
    """What the library's types call a hash a second time."""


UNRESOLVED = {"UntypedStripeObject": Untyped}
"""What the library imports for type checkers alone."""

Problems = list[str]


def refused(line: dict[str, Any], *, key_required: bool = True) -> Problems:
    """Why Stripe would refuse the recorded request; nothing when it would not."""
    where = urlsplit(line["path"])
    method = line["method"].lower()
    found = _params_of(method, where.path)
    if found is None:
        return [f"{line['method']} {where.path}: no such endpoint"]
    said = []
    headers = {name.lower() for name in line.get("headers") or {}}
    if method == "post" and key_required and "idempotency-key" not in headers:
        said.append("POST without Idempotency-Key")
    try:
        tree, form = _tree(line, where.query)
    except Refusal as refusal:
        return [*said, str(refusal)]
    return said + [f"{line['method']} {where.path}: {p}" for p in _of_hash(found, tree, "", form)]


def _tree(line: dict[str, Any], query: str) -> tuple[dict[str, Any], bool]:
    body = line.get("body") or ""
    if line["method"] != "POST":
        return from_form(query), True
    if "json" in (line.get("headers") or {}).get("content-type", ""):
        return from_json(body.encode()), False
    return from_form(body), True


def _params_of(method: str, path: str) -> type | None:
    """The parameter type of an endpoint; `dict` for one that takes none."""
    for template, (module, name) in _endpoints().get(method, {}).items():
        if re.fullmatch(template, path):
            return dict if not name else typing.cast("type", _attribute(module, name))
    return None


def _attribute(module: str, name: str) -> object:
    return getattr(importlib.import_module(module), name)


@functools.cache
def _endpoints() -> dict[str, dict[str, tuple[str, str]]]:
    """Method and path pattern to module and name of the parameter type; literal paths first."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for file in sorted(Path(str(stripe.__file__)).parent.rglob("_*_service.py")):
        for method, template, where in _of_service(file.read_text()):
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            found.setdefault(method, {})[pattern] = where
    return {
        method: dict(sorted(paths.items(), key=lambda each: each[0].count("[")))
        for method, paths in found.items()
    }


def _of_service(text: str) -> Iterator[tuple[str, str, tuple[str, str]]]:
    modules = {name: module for module, name in IMPORT.findall(text)}
    for part in METHOD.split(text):
        if (request := REQUEST.search(part)) is None:
            continue
        params = PARAMS.search(part)
        name = params[1] if params else ""
        yield request[1], request[2], (modules.get(name, ""), name)


def _of_hash(hint: type, tree: Any, at: str, form: bool) -> Problems:
    if form and tree == "" and at:
        return []  # unsets it
    if not isinstance(tree, dict):
        return [f"{at}: expected a hash"]
    known = {} if hint is dict else _hints(hint)
    said = []
    for name, each in known.items():
        if typing.get_origin(each) not in OPTIONAL and name not in tree:
            said.append(f"{_below(at, name)}: missing")
    for name, value in tree.items():
        if name in known:
            said += _problems(known[name], value, _below(at, name), form)
        else:
            said.append(f"{_below(at, name)}: unknown")
    return said


@functools.cache
def _hints(hint: type) -> dict[str, Any]:
    own = {name: each for name, each in hint.__annotations__.items() if name not in OPTIONS}
    names = vars(importlib.import_module(hint.__module__))
    holder: Any = types.SimpleNamespace(__annotations__=own)
    return typing.get_type_hints(holder, names, UNRESOLVED, include_extras=True)


def _problems(hint: Any, value: Any, at: str, form: bool) -> Problems:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in OPTIONAL:
        return _problems(inner[0], value, at, form)
    if origin in (Union, types.UnionType):
        return _of_union(inner, value, at, form)
    if origin is Literal:
        return [] if value in inner else [f"{at}: {value!r} is none of {inner}"]
    if origin is list:
        return _of_list(inner[0], value, at, form)
    if origin is dict:
        if not isinstance(value, dict):
            return [] if form and value == "" else [f"{at}: expected a hash"]
        return [p for k, v in value.items() for p in _problems(inner[1], v, _below(at, k), form)]
    if typing.is_typeddict(hint) or typing_extensions.is_typeddict(hint):
        return _of_hash(hint, value, at, form)
    return _of_scalar(hint, value, at, form)


def _of_union(hints: Iterable[Any], value: Any, at: str, form: bool) -> Problems:
    """`Literal | str` is an open enumeration: only the values known today pass."""
    closed = [each for each in hints if typing.get_origin(each) is not Untyped]
    closed = [each for each in closed if each is not type(None)]
    if any(typing.get_origin(each) is Literal and any(typing.get_args(each)) for each in closed):
        closed = [each for each in closed if each is not str]
    said = [_problems(each, value, at, form) for each in closed]
    return [] if not all(said) else min(said, key=len)


def _of_list(hint: Any, value: Any, at: str, form: bool) -> Problems:
    if form and value == "":
        return []
    if not isinstance(value, list):
        return [f"{at}: expected a list"]
    parts = (_problems(hint, v, f"{at}[{n}]", form) for n, v in enumerate(value))
    return [problem for part in parts for problem in part]


def _of_scalar(hint: Any, value: Any, at: str, form: bool) -> Problems:
    if hint in (Any, object):
        return []
    if isinstance(value, (dict, list)):
        return [f"{at}: expected one value"]
    if form and hint in NUMBERS and not re.fullmatch(NUMBERS[hint], str(value)):
        return [f"{at}: {value!r} is no {hint.__name__}"]
    if not form and hint in (int, str, bool) and type(value) is not hint:
        return [f"{at}: {value!r} is no {hint.__name__}"]
    return []


def _below(at: str, name: str) -> str:
    return f"{at}[{name}]" if at else name


def main(file: Path) -> int:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    said = [problem for line in lines for problem in refused(line)]
    sys.stdout.write("".join(f"{problem}\n" for problem in said))
    sys.stdout.write(f"{len(lines)} requests, {len(said)} problems\n")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
