"""Finds every code that a problem can carry, by reading the source."""

import ast
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final

import api.app  # noqa: F401 - brings in every module that refuses something
from api.http.problem import InvalidFields, status_of
from rim_ledger.engine.refusals import Invalid, Refused, Unavailable

TREE: Final = Path(__file__).parents[1]
PACKAGES: Final = ("rim_ledger", "projections", "api")


def _kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


KINDS: Final = {kind.__name__: kind for root in (Refused, Unavailable) for kind in _kinds(root)}
CALLS: Final[dict[str, tuple[type[Exception], int]]] = {
    **{name: (kind, 0) for name, kind in KINDS.items()},
    "InvalidFields": (InvalidFields, 1),
    "require": (Refused, 1),
    "_Fit": (Invalid, 1),
}
"""What says no, the refusal that comes of it, and which argument is the code."""


@cache
def modules() -> dict[Path, ast.Module]:
    """Every module of the three packages."""
    paths = [path for package in PACKAGES for path in sorted((TREE / package).rglob("*.py"))]
    return {path: ast.parse(path.read_text()) for path in paths}


@cache
def nodes() -> dict[Path, tuple[ast.AST, ...]]:
    """Every node of each of them."""
    return {path: tuple(ast.walk(module)) for path, module in modules().items()}


def problems() -> set[tuple[str, int]]:
    """Each code as a pattern, and the status that goes with it."""
    found = {("internal-error", 500)}
    for module in modules().values():
        for code, kind in _said(module, None):
            refusal = kind.__new__(kind)
            refusal.code = code  # type: ignore[attr-defined]
            found.add((code, status_of(refusal)))
    return found


def fields() -> set[str]:
    """Each code, as a pattern, that we ourselves give to a single field."""
    found = set[str]()
    for node in chain(*nodes().values()):
        match node:
            case (
                ast.Call(func=ast.Name(id="PydanticCustomError"), args=[code, *_])
                | ast.Call(func=ast.Name(id="fits"), args=[_, code, *_])
            ):
                found |= {each.replace("_", "-") for each in _texts(code)}
            case ast.Call(func=ast.Name(id="_error"), args=[_, code, *_]):
                found |= set(_texts(code))
    return found


def _said(node: ast.AST, within: type[Exception] | None) -> Iterator[tuple[str, type[Exception]]]:
    if isinstance(node, ast.ClassDef):
        within = KINDS.get(node.name)
    match node:
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in CALLS:
            kind, place = CALLS[name]
            for code in arguments[place : place + 1]:
                yield from ((text, kind) for text in _texts(code))
        case ast.Call(func=ast.Attribute(attr="__init__"), args=[code, *_]) if within:
            yield from ((text, within) for text in _texts(code))
        case ast.arguments(args=names, defaults=[*_, code]) if within and names[-1].arg == "code":
            yield from ((text, within) for text in _texts(code))
    for child in ast.iter_child_nodes(node):
        yield from _said(child, within)


def _texts(node: ast.AST) -> Iterator[str]:
    """The text that stands there; what is filled in later is `*`. Nothing when it is no text."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts
            )
