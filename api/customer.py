"""The routes of a borrower's own session; what it may do is marked on the other routes."""

from typing import TYPE_CHECKING, Final

from api.admin import position, rfc3339
from api.road.commands import read_form
from api.road.routes import AnyRoute, Other, Parameters
from api.wire.call import Call, Reply
from api.wire.problem import encoded
from rim_ledger.admin import gate
from rim_ledger.book import Book
from rim_ledger.customers.access import log_out as end_session
from rim_ledger.customers.phone_code import AskForCode, LogInWithCode
from rim_ledger.customers.standing import OWN_SESSION
from rim_ledger.deciding import Admit
from rim_ledger.lending.user import User

if TYPE_CHECKING:
    from api.road.desk import Desk

AUTH: Final = "/v1/auth/customer"


async def send_log_in_code(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """A code goes to the phone, if it is that of a borrower who may log in."""
    form = await read_form(call, AskForCode)
    ends = await desk.phone_codes.send(call.stamp(desk.world), form)
    return Reply(202, encoded({"expiresAt": rfc3339(ends)}))


async def log_in_borrower(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """A code for a token."""
    form = await read_form(call, LogInWithCode)
    session = await desk.phone_codes.log_in(call.stamp(desk.world), form)
    body = {
        "token": session.token,
        "expiresAt": rfc3339(session.expires_at),
        "user": {"id": session.id, "userId": session.user_id},
    }
    return Reply(200, encoded(body), [position(desk)])


async def log_out_borrower(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """End this session; the others stay."""
    token = call.token
    receipt = await desk.ledger.submit(
        lambda book: end_session(book, token), call.stamp(desk.world), None, _admit(call)
    )
    desk.callers.pop(token, None)
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


async def get_borrower(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """Whose session it is."""

    def look(book: Book) -> dict[str, object]:
        assert book.stamp.customer, "only borrowers are admitted"
        user = book.read(User, book.stamp.customer)
        words = {each: book.reveal(user.id, getattr(user, each)) for each in PERSONAL}
        return {"id": user.id, "userId": user.user_id, "status": user.status, **words}

    own = await desk.ledger.read(look, call.stamp(desk.world), _admit(call))
    return Reply(200, encoded(own), [position(desk)])


def _admit(call: Call) -> Admit:
    token = call.token

    def admit(book: Book) -> None:
        gate.enter_own(book, token)
        book.need(*OWN_SESSION)

    return admit


PERSONAL: Final = ("name", "phone", "email")
TEXT: Final = {"type": "string"}
TIME: Final = {"type": "string", "format": "date-time"}
USER: Final = {"id": {"type": "string", "format": "uuid"}, "userId": TEXT}
SESSION: Final = {
    "token": TEXT,
    "expiresAt": TIME,
    "user": {"type": "object", "required": [*USER], "properties": USER},
}

ROUTES: list[AnyRoute] = [
    Other(
        "POST",
        AUTH + "/code",
        send_log_in_code,
        "Have a code sent to one's phone",
        form=AskForCode,
        public=True,
        status=202,
        gives={"expiresAt": TIME},
    ),
    Other(
        "POST",
        AUTH + "/login",
        log_in_borrower,
        "Log in as a borrower",
        form=LogInWithCode,
        public=True,
        gives=SESSION,
    ),
    Other(
        "POST",
        AUTH + "/logout",
        log_out_borrower,
        "Log out as a borrower",
        OWN_SESSION,
        own=True,
        status=204,
    ),
    Other(
        "GET",
        AUTH + "/me",
        get_borrower,
        "Which borrower asks",
        OWN_SESSION,
        own=True,
        gives=USER | {"status": TEXT} | dict.fromkeys(PERSONAL, TEXT),
    ),
]
