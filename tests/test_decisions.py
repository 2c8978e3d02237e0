"""A decision reads first and yields last: its events are all decided before one is in the book."""

import ast
from collections.abc import Iterable, Iterator

from tests.problem_codes import modules

BRANCHES = (ast.For, ast.While, ast.With, ast.Try, ast.Match)


def _yields(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(node))


def _reads(node: ast.AST) -> bool:
    """Whether something is asked of the book besides the time and the stamp, which stay."""
    plain = {
        id(each.value)
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and each.attr in ("now", "stamp")
    }
    return any(
        isinstance(each, ast.Name) and each.id == "book" and id(each) not in plain
        for each in ast.walk(node)
    )


def _late(body: Iterable[ast.stmt], *, yielded: bool) -> tuple[list[int], bool]:
    """The lines that ask the book after a yield, and whether the end comes after one."""
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
    """Whether it gives events from what the book tells; what gives looks at a book asks later."""
    takes = any(each.arg == "book" for each in node.args.args)
    return takes and _yields(node) and "Callable" not in ast.unparse(node.returns or node)


def _late_in(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and _decides(node):
            late, _ = _late(node.body, yielded=False)
            yield from (f"{node.name}, line {line}" for line in late)


def test_a_decision_asks_the_book_nothing_after_its_first_event() -> None:
    found = {str(path): late for path, module in modules().items() if (late := [*_late_in(module)])}
    assert not found


def test_the_check_finds_what_it_looks_for() -> None:
    read_after = """
def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
    yield LoanApproved()
    if self.sent:
        remind(book, aggregate.id)
"""
    read_before = """
def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
    if self.sent:
        remind(book, aggregate.id)
        yield LoanSent()
        return
    user = book.read(User, aggregate.user_id)
    yield LoanApproved(at=book.now)
"""
    assert [*_late_in(ast.parse(read_after))] == ["decide, line 5"]
    assert not [*_late_in(ast.parse(read_before))]
