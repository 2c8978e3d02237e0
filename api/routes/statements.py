"""The routes of statements: a provider's file in CSV, settled against the payments."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any, Final
from uuid import UUID

from api.context import Context
from api.description.components import COUNT, ID
from api.http import problem
from api.http.call import JSON, NDJSON, Call, Headers, Reply, at_position
from api.http.csv_lines import Upload, read_lines, receive_file
from api.http.csv_text import CSV
from api.http.text import TextFile
from api.pipeline.background import problem_line
from api.pipeline.pipeline import request_of
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, List, operation
from projections.payments import StatementLineRow, StatementRow
from rim_ledger.engine.activity import Activity, note_made
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
from rim_ledger.payments.statement import LineOutcome, Statement
from rim_ledger.payments.statement_matching import begin, finish, settle

STATEMENTS: Final = "/v1/statements"
READ, WRITE = ("statements", "read"), ("statements", "write")
RECONCILIATION: Final = ("transactions.reconciliation", "write")
ASKED: Final = Activity(action="ImportStatement", resource="statements")
LINES_AT_ONCE: Final = 200
"""Lines that are settled in one decision."""


class Import:
    """One file on its way into the ledger; another one of the same file may be under way."""

    def __init__(self, context: Context, call: Call, upload: Upload) -> None:
        self._context, self._call = context, call
        self._sha256, self._lines = upload.sha256, read_lines(upload.text)
        self.statement: Statement
        self.position = 0

    async def begin(self) -> Receipt:
        """Begin, or find what was done with the file before."""

        def work(uow: UnitOfWork) -> UUID:
            stream = begin(self._sha256)(uow)
            note_made(uow.activities, stream)
            return stream

        receipt = await self._decide(work, ASKED, self._sha256)
        if receipt.replayed:
            await self._decide(lambda _: receipt.id)
        return receipt

    async def settle(self) -> AsyncIterator[None]:
        """Settle what is left of the file. Yields after every decision."""
        statement = self.statement.id
        while self.statement.finished_at is None:
            if not (some := list(islice(self._lines, LINES_AT_ONCE))):
                await self._decide(finish(statement))
            elif some[-1].line > self.statement.lines:
                await self._decide(settle(statement, some))
            else:
                await asyncio.sleep(0)  # Settled before; others have their turn meanwhile.
                continue
            yield

    async def _decide(
        self, work: Work, asked: Activity | None = None, parsed: str | None = None
    ) -> Receipt:
        def whole(uow: UnitOfWork) -> tuple[UUID, Statement]:
            stream = work(uow)
            return stream, uow.read(Statement, stream)

        rights = (WRITE, RECONCILIATION)
        request = request_of(self._context, self._call, asked, *rights, parsed=parsed)
        receipt, self.statement = await self._context.ledger.decide(whole, *request.terms)
        self.position = receipt.position
        return receipt


@operation(
    f"POST {STATEMENTS}",
    "Settle a statement",
    WRITE,
    RECONCILIATION,
    action=ASKED.action,
    status=201,
    gives={"id": ID} | dict.fromkeys(("lines", *(each.counted for each in LineOutcome)), COUNT),
    media_type=CSV.decode(),
    offers=(JSON, NDJSON),
)
async def upload_statement(context: Context, call: Call, _: Rights) -> Reply | None:
    """Settles a provider's statement: `date,reference,amount,provider,narration`, header first.

    Each line is looked for by provider (or payment method, where the payment names no provider),
    reference and amount. A pending payment that matches is completed, and every match is
    reconciled. The answer counts the lines by outcome, `GET /v1/statements/{id}` lists them.
    The narration is not kept. The same file once more answers 200 with the first result, or goes
    on where it was interrupted. With `Accept: application/x-ndjson` progress comes line by line,
    and the summary last. Needs statements:write and transactions.reconciliation:write.
    """
    with context.rates.room(call, context.callers):
        upload = await receive_file(TextFile(call.receive, call.headers, CSV, keep_mark=True))
        return await _settled(context, call, upload)


async def _settled(context: Context, call: Call, upload: Upload) -> Reply | None:
    """What became of a file; None where progress was sent, and the summary with it."""
    with upload.text:
        task = Import(context, call, upload)
        receipt = await task.begin()
        headers = [(b"location", f"{STATEMENTS}/{receipt.id}".encode())]
        if receipt.replayed:
            headers.append((b"idempotency-replayed", b"true"))
        # The request that began it made it, also when it is repeated under its key.
        status = 201 if receipt.version == 1 else 200
        if call.media_type == NDJSON:
            await _stream(context, call, task, status, headers)
            return None
        async for _ in task.settle():
            pass
    headers.append(at_position(task.position))
    return Reply(status, task.statement.summary, headers)


async def _stream(
    context: Context, call: Call, task: Import, status: int, headers: Headers
) -> None:
    """`{"progress": …}` after every decision, and the summary last; or `{"problem": …}`."""
    await call.start(status, [(b"content-type", NDJSON), *headers])
    try:
        async for _ in task.settle():
            call.progress = f"; {task.statement.lines} lines of the statement were settled"
            await _say(call, {"progress": task.statement.summary})
        last = task.statement.summary
    except Exception as error:
        last = {"problem": problem_line(context, call, error)}
    await _say(call, last, more=False)


async def _say(call: Call, line: dict[str, Any], *, more: bool = True) -> None:
    await call.go_on(problem.encoded(line) + b"\n", more=more)


ROUTES: list[AnyRoute] = [
    List(STATEMENTS, StatementRow, READ, "List statements"),
    List(
        STATEMENTS + "/{id}",
        StatementLineRow,
        READ,
        "One statement, and its lines as items",
        ("statement_id", StatementRow),
        with_owner=True,
        order="line",
    ),
    upload_statement,
]
