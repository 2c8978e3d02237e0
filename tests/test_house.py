"""The house keeps its order: lengths, names, dead code, one table of routes, one catalogue."""

import ast
import re
import statistics
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

import api.cli.main
from api.catalogue import ROUTES
from api.pipeline.routes import Other, Route
from rim_ledger import catalogue
from rim_ledger.admin.admin_commands import LogOut, ResetAccess
from rim_ledger.catalogue import ENTITIES, ENTITY_OF
from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.engine.command import Command, Creation, Form
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.unique_names import Named
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.separation import BorrowerCommand
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import DisableAutoLimit, EnableAutoLimit
from rim_ledger.notifications.contact import OptIn, OptOut
from rim_ledger.notifications.template import Template
from rim_ledger.payments.transaction import Transaction
from rim_ledger.support.conversation import AddAttachment
from tests.problem_codes import PACKAGES, TREE, modules, nodes

LINES_MAX: Final = 600
"""A file is cut by its meaning. The longest are aggregates, each with its events."""
MEDIAN_MAX: Final = 120

OPENING: Final = re.compile(r'(?:#.*\n)*r?"""(.+?)"""', re.DOTALL)
"""The docstring of a module, after the comments above it."""
FORBIDDEN: Final = re.compile(r"Manager|Service|Helper|Util|Base(?!d)|Dto|Impl|Data(?!Type)|Info")

ENTRY_POINTS: Final = {
    "api.cli.main": {name for name in vars(api.cli.main) if name in api.cli.main.app},
    "api.cli.server": {"serve"},  # named to the command line, not imported
    "api.cli.clock": {"clock", "tick"},  # the same
    "api.cli.admin_commands": {"unlock", "reset"},  # the same
    "api.cli.backup_commands": {"backup", "verify_backup", "restore", "outbound"},  # the same
    "api.cli.activity_commands": {"drop_before"},  # the same
    "api.cli.backup_list": {"list_"},  # the same
    "api.cli.export": {"export"},  # the same
    "api.cli.replay": {"replay"},  # the same
    "api.cli.backtest": {"backtest"},  # the same
    "api.cli.deploy_commands": {"deploy"},  # the same
    "rim_ledger.persistence": {"Factory"},  # named in PERSISTENCE_MODULE
}
"""What is used from outside of the three packages."""

INTERNAL: Final[dict[type[Form], str]] = {
    ResetAccess: "whoever runs the machine asks for it there, and nobody over HTTP",
    EnableAutoLimit: "the switch of POST /v1/users/{id}/auto-limit",
    DisableAutoLimit: "the same",
    AddAttachment: "POST /v1/tickets/{id}/attachments, which looks at the file",
    LogOut: "POST /v1/auth/logout, which knows the session from its token",
}
"""Commands without a route of their own, and who gives them instead."""


def short(path: Path) -> str:
    return path.relative_to(TREE).as_posix()


def name_of(path: Path) -> str:
    return short(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def family(kind: type) -> Iterator[type]:
    """The classes below a class that are written in the packages."""
    for each in kind.__subclasses__():
        if each.__module__.split(".")[0] in PACKAGES and "[" not in each.__name__:
            yield each
        yield from family(each)


def test_files_are_short() -> None:
    lengths = {short(path): len(path.read_text().splitlines()) for path in modules()}
    assert not {name: n for name, n in lengths.items() if n > LINES_MAX}
    assert statistics.median(n for n in lengths.values() if n) <= MEDIAN_MAX


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_each_module_opens_with_one_plain_line(package: str) -> None:
    for path in sorted((TREE / package).rglob("*.py")):
        if text := path.read_text():
            found = OPENING.match(text)
            first, *rest = found[1].splitlines() if found else [""]
            assert first.endswith((".", "!")), short(path)
            assert not rest or not rest[0], short(path)


def test_what_is_no_module_is_data_of_a_package() -> None:
    """Otherwise a wheel lacks it, which only who installs one would see."""
    with (TREE / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["tool"]["setuptools"]["package-data"]
    kept = [path for each in PACKAGES for path in (TREE / each).rglob("*") if path.is_file()]
    beside = {path for path in kept if not path.suffix.startswith(".py")}
    data = {
        path
        for package, patterns in declared.items()
        for pattern in patterns
        for path in (TREE / package.replace(".", "/")).glob(pattern)
    }
    assert beside
    assert beside == data


def test_every_name_says_something() -> None:
    names = [
        f"{short(path)}: {node.name}"
        for path, inside in nodes().items()
        for node in inside
        if isinstance(node, ast.ClassDef) and FORBIDDEN.search(node.name)
    ]
    assert not names


def test_every_name_at_the_top_of_a_module_is_used() -> None:
    """By the packages themselves: what only a test uses is dead all the same."""
    borrowed = {each for path in modules() for each in borrows(path)}
    dead = []
    for path, module in modules().items():
        own, within = name_of(path), [Counter(mentioned(node)) for node in module.body]
        used = Counter(chain(*(each.elements() for each in within)))
        for node, inside in zip(module.body, within, strict=True):
            dead += [
                f"{own}.{name}"
                for name in defined(node)
                if name not in ENTRY_POINTS.get(own, ()) and not used[name] - inside[name]
                if (own, name) not in borrowed
            ]
    assert not dead


@cache
def borrows(path: Path) -> set[tuple[str, str]]:
    """What a module takes from others: by name, or as an attribute of an imported module."""
    taken, aliases = set[tuple[str, str]](), dict[str, str]()
    for node in nodes()[path]:
        if isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                taken.add((node.module, each.name))
                aliases[each.asname or each.name] = f"{node.module}.{each.name}"
    for node in nodes()[path]:
        match node:
            case ast.Attribute(value=ast.Name(id=alias), attr=name) if alias in aliases:
                taken.add((aliases[alias], name))
    return taken


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports for types alone count as well."""
    sources = {name_of(path): path for path in modules()}
    imports = {name: imported(path) & sources.keys() for name, path in sources.items()}
    order = TopologicalSorter({name: others - {name} for name, others in imports.items()})
    try:
        assert {*order.static_order()} == sources.keys()
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


def imported(path: Path) -> set[str]:
    """What a module imports, as the name of a module or as that of something in it."""
    return {each for taken, name in borrows(path) for each in (taken, f"{taken}.{name}")}


SHAPES: Final = {Patch, BorrowerCommand}
"""Commands that others are made from."""


def test_no_slice_imports_the_commands_of_another() -> None:
    found = {each for root in (Command, Creation) for each in family(root)} - SHAPES
    homes = {each.__name__: each.__module__ for each in found}
    foreign = [
        f"{short(path)}: {name}"
        for path in modules()
        if short(path).startswith("rim_ledger/") and short(path).count("/") == 2
        for taken, name in borrows(path)
        if homes.get(name) == taken and taken.split(".")[1] != short(path).split("/")[1]
    ]
    assert not foreign


def defined(node: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module makes."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            if not node.decorator_list:
                yield name
        case ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            for target in targets:
                names = (each.id for each in ast.walk(target) if isinstance(each, ast.Name))
                yield from (name for name in names if name != "__all__")
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def mentioned(node: ast.AST) -> Iterator[str]:
    """Every name that is read somewhere below, also as an attribute or within quotes."""
    for each in ast.walk(node):
        match each:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                yield name
            case ast.Constant(value=str(text)) if re.fullmatch(r"[\w.\[\], |]+", text):
                yield from re.findall(r"\w+", text)


OF_BORROWERS: Final = (User, Loan, Transaction)


def test_every_command_has_one_route_or_a_reason_to_have_none() -> None:
    """So a command touches three files: its rule, its events' home, and a line of a table."""
    given = Counter(route.command for route in ROUTES if isinstance(route, Route))
    given.update(route.form for route in ROUTES if isinstance(route, Other) and route.form)
    written = {each for root in (Command, Creation) for each in family(root)} - SHAPES
    written = {each for each in written if not each.__name__.startswith("_")}
    assert not [each.__name__ for each in written - given.keys() - INTERNAL.keys()], "no route"
    assert not [each.__name__ for each in INTERNAL if each in given or each not in written]
    assert not [each.__name__ for each, times in given.items() if times > 1], "two routes"


def test_every_command_about_a_borrower_is_refused_to_the_borrower() -> None:
    """But those by which they choose what they are sent."""
    about = [each for each in ROUTES if isinstance(each, Route) and each.kind in OF_BORROWERS]
    changes = {each.command for each in about if issubclass(each.command, Command)}
    assert len(changes) > 30
    others = {each for each in changes if not issubclass(each, BorrowerCommand)}
    assert others == {OptIn, OptOut}


def test_every_event_and_every_entity_is_in_the_catalogue() -> None:
    assert set(family(Event)) == set(ENTITY_OF)
    assert set(family(Aggregate)) - {Named, Template} == set(ENTITIES)


def test_the_catalogue_holds_nothing_else() -> None:
    module = ast.parse(Path(catalogue.__file__).read_text())
    names = {name for node in module.body for name in defined(node)}
    assert names == {"ENTITIES", "ENTITY_OF", "EVENTS"}
