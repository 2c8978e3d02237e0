"""Receipts of commands: their fields, headers and status."""

import json
from functools import cache
from typing import Any, Final

from pydantic.alias_generators import to_camel

from api.http.call import Reply, at_position
from api.pipeline.routes import Done, Route
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.command import Creation
from rim_ledger.engine.idempotency import Receipt

PROPOSALS: Final = "/v1/proposals"
_wire_name = cache(to_camel)


def receipt_json(kind: type[Aggregate], receipt: Receipt) -> bytes:
    """`{"id", "<businessId>", "version", "position"}`; an entity without a business id omits it.
    Of a proposal, `{"proposalId", "version", "position"}`."""
    return json.dumps(receipt_fields(kind, receipt)).encode()


def receipt_fields(kind: type[Aggregate], receipt: Receipt) -> dict[str, Any]:
    fields: dict[str, Any] = {"proposalId" if receipt.proposed else "id": str(receipt.id)}
    if kind.BUSINESS_ID and not receipt.proposed:
        fields[_wire_name(kind.BUSINESS_ID)] = receipt.business_id
    fields |= {"version": receipt.version, "position": receipt.position}
    return fields | {"completed": True} if receipt.completed else fields


def receipt_headers(receipt: Receipt) -> list[tuple[bytes, bytes]]:
    """The position of a receipt, and whether it was given before under its key."""
    replayed = [(b"idempotency-replayed", b"true")] if receipt.replayed else []
    return [at_position(receipt.position), *replayed]


def command_reply(done: Done, body: bytes, *headers: tuple[bytes, bytes]) -> Reply:
    """The answer to a command: with its version and position, and the place of what is new."""
    receipt, route = done.receipt, done.request.route
    sent = [*headers, *receipt_headers(receipt), (b"etag", b'"%d"' % receipt.version)]
    if (status := status_of(route, receipt)) != 200:
        place, _, _ = route.path.partition("/{")
        place = PROPOSALS if receipt.proposed else place
        sent.append((b"location", f"{place}/{receipt.id}".encode()))
    return Reply(status, body, sent)


def status_of(route: Route, receipt: Receipt) -> int:
    """The status of the answer to a command that was carried out, or waits for approval."""
    if receipt.proposed:
        return 202
    return 201 if issubclass(route.command, Creation) else 200
