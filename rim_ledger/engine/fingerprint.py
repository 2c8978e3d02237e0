"""Fingerprints of code versions: hashes of the sources that it is made of."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from typing import Final

import msgspec

DIGITS: Final = 16
"""Hexadecimal digits of a fingerprint."""
IMPORT: Final = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]*))",
    re.MULTILINE,
)
NAME: Final = re.compile(r"[\w.]+")


@cache
def source(module: str) -> str:
    """Return the source of a module. Raises LookupError if it cannot be read."""
    spec = find_spec(module)
    found = getattr(spec.loader, "get_source", lambda _: None)(module) if spec else None
    if found is None:
        raise LookupError(f"the source of {module} cannot be read")
    return str(found)


def fingerprint(what: str, *modules: str, read: Callable[[str], str] = source) -> str:
    """Return the fingerprint of something that these modules define: it changes with any change in
    them, and in the modules of this package and of their own that they import, directly or not.

    Raises LookupError if the source of one cannot be read.
    """
    sources, wanted = dict[str, str](), list(modules)
    while wanted:
        name = wanted.pop()
        if name not in sources:
            sources[name] = read(name)
            wanted += _imported(name, sources[name])
    parts = [what, msgspec.__version__, *(f"{name}\n{sources[name]}" for name in sorted(sources))]
    return sha256("\0".join(parts).encode()).hexdigest()[:DIGITS]


@cache
def _imported(module: str, text: str) -> list[str]:
    """Return the modules of this package, and of a module's own, that its source imports."""
    packages = {_package(__name__), _package(module)}
    names = [name for name in _named(text) if _package(name) in packages]
    return [name for name in names if _is_module(name)]


def _named(text: str) -> Iterator[str]:
    """Yield what a source imports: modules, and names in them that may be modules as well."""
    for module, names, plain in IMPORT.findall(text):
        if module.startswith("."):
            raise LookupError(f"from {module} import: which module that is was not looked for")
        yield from [module] if module else NAME.findall(plain)
        yield from (f"{module}.{name}" for name in NAME.findall(names))


@cache
def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # It is a name within a module.
        return False


def _package(name: str) -> str:
    return name.split(".", maxsplit=1)[0]
