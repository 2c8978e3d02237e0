"""The routes of a borrower's own session; what it may do is marked on the other routes."""

from typing import Final
from uuid import UUID

from api.context import Context
from api.description.components import ID, TEXT, TIME, shape
from api.http.call import Call, Reply, at_position
from api.pipeline.commands import read_form
from api.pipeline.pipeline import look, request_of
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, Request, operation
from api.routes.admin import position
from rim_ledger.admin import authentication
from rim_ledger.customers.access import OWN_SESSION
from rim_ledger.customers.access import log_out as end_session
from rim_ledger.customers.phone_code import AskForCode, LogInWithCode
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User

AUTH: Final = "/v1/auth/customer"
PERSONAL: Final = ("name", "phone", "email")
USER: Final = {"id": ID, "userId": TEXT}
SESSION: Final = {"token": TEXT, "expiresAt": TIME, "user": shape("SignedInBorrower", USER)}


@operation(
    f"POST {AUTH}/code",
    "Have a code sent to one's phone",
    form=AskForCode,
    public=True,
    status=202,
    gives={"expiresAt": TIME},
)
async def send_log_in_code(context: Context, call: Call, _: Rights) -> Reply:
    """A code goes to the phone, if it is that of a borrower who may log in."""
    form = await read_form(call, AskForCode)
    ends = await context.phone_codes.send(call.stamp(context.environment), form)
    return Reply(202, {"expiresAt": ends})


@operation(
    f"POST {AUTH}/login", "Log in as a borrower", form=LogInWithCode, public=True, gives=SESSION
)
async def log_in_borrower(context: Context, call: Call, _: Rights) -> Reply:
    """A code for a token."""
    form = await read_form(call, LogInWithCode)
    session = await context.phone_codes.log_in(call.stamp(context.environment), form)
    body = {
        "token": session.token,
        "expiresAt": session.expires_at,
        "user": {"id": session.id, "userId": session.user_id},
    }
    return Reply(200, body, [position(context)])


@operation(f"POST {AUTH}/logout", "Log out as a borrower", OWN_SESSION, own=True, status=204)
async def log_out_borrower(context: Context, call: Call, _: Rights) -> Reply:
    """End this session; the others stay."""
    token = call.token

    def work(uow: UnitOfWork) -> tuple[UUID, None]:
        return end_session(uow, token), None

    receipt, _value = await context.ledger.decide(work, *_request(context, call).terms)
    context.callers.pop(token, None)
    return Reply(204, b"", [at_position(receipt.position)])


@operation(
    f"GET {AUTH}/me",
    "Which borrower asks",
    OWN_SESSION,
    own=True,
    gives=USER | {"status": TEXT} | dict.fromkeys(PERSONAL, TEXT),
)
async def get_borrower(context: Context, call: Call, _: Rights) -> Reply:
    """Whose session it is."""

    def see(uow: UnitOfWork) -> dict[str, object]:
        assert uow.stamp.customer, "only borrowers are admitted"
        user = uow.read(User, uow.stamp.customer)
        words = {each: uow.reveal(user.id, getattr(user, each)) for each in PERSONAL}
        return {"id": user.id, "userId": user.user_id, "status": user.status, **words}

    own = await look(context, _request(context, call), see)
    return Reply(200, own, [position(context)])


def _request(context: Context, call: Call) -> Request:
    return request_of(context, call, None, OWN_SESSION, enter=authentication.enter_own)


ROUTES: list[AnyRoute] = [
    send_log_in_code,
    log_in_borrower,
    log_out_borrower,
    get_borrower,
]
