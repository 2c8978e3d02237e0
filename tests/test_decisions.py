"""A decision reads first and yields last: all its events are decided before one is appended."""

import ast
from collections.abc import Iterable, Iterator

from tests.problem_codes import nodes

BRANCHES = (ast.For, ast.While, ast.With, ast.Try, ast.Match)


def _yields(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(node))


def _reads(node: ast.AST) -> bool:
    """Whether something is asked of the unit of work besides the time and the stamp, which stay."""
    plain = {
        id(each.value)
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and each.attr in ("now", "stamp")
    }
    return any(
        isinstance(each, ast.Name) and each.id == "uow" and id(each) not in plain
        for each in ast.walk(node)
    )


def _late(body: Iterable[ast.stmt], *, yielded: bool) -> tuple[list[int], bool]:
    """The lines that ask the unit of work after a yield, and whether the end comes after one."""
    late = list[int]()
    for each in body:
        if isinstance(each, ast.If):
            if yielded and _reads(each.test):
                late.append(each.lineno)
            ends = [_late(branch, yielded=yielded) for branch in (each.body, each.orelse)]
            late += [line for lines, _ in ends for line in lines]
            last = (each.body[-1], each.orelse[-1] if each.orelse else None)
            yielded |= any(
                end and not isinstance(stop, ast.Return | ast.Raise)
                for (_, end), stop in zip(ends, last, strict=True)
            )
        elif isinstance(each, BRANCHES):
            loops = isinstance(each, ast.For | ast.While) and _yields(each)
            if (yielded or loops) and _reads(each):
                late.append(each.lineno)
            yielded |= _yields(each)
        else:
            if yielded and _reads(each):
                late.append(each.lineno)
            yielded |= _yields(each)
    return late, yielded


def _decides(node: ast.FunctionDef) -> bool:
    """Whether it yields events from what it reads; functions that yield looks read later."""
    takes = any(each.arg == "uow" for each in node.args.args)
    return takes and _yields(node) and "Callable" not in ast.unparse(node.returns or node)


def _late_in(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and _decides(node):
            late, _ = _late(node.body, yielded=False)
            yield from (f"{node.name}, line {line}" for line in late)


def test_a_decision_asks_the_book_nothing_after_its_first_event() -> None:
    found = {str(path): late for path, each in nodes().items() if (late := [*_late_in(each)])}
    assert not found


def test_the_check_finds_what_it_looks_for() -> None:
    read_after = """
def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
    yield LoanApproved()
    if self.sent:
        remind(uow, aggregate.id)
"""
    read_before = """
def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
    if self.sent:
        remind(uow, aggregate.id)
        yield LoanSent()
        return
    user = uow.read(User, aggregate.user_id)
    yield LoanApproved(at=uow.now)
"""
    assert [*_late_in(ast.walk(ast.parse(read_after)))] == ["decide, line 5"]
    assert not [*_late_in(ast.walk(ast.parse(read_before)))]
