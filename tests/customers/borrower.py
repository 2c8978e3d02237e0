"""A borrower in memory, with sessions that can be begun and tried."""

from rim_ledger.admin.authentication import enter
from rim_ledger.admin.session import token_hash
from rim_ledger.customers.access import access_of, log_out
from rim_ledger.customers.phone_code import begin_session
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, perform
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from tests.spec import Memory

ADA = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")


class Borrower(Memory):
    """Ada, who has logged in before or not."""

    def __init__(self) -> None:
        super().__init__()
        self.ada, self.begun = self.environment.new_id(), 0
        self.perform(User, self.ada, ADA)

    @property
    def user(self) -> User:
        return self.uow().read(User, self.ada)

    def log_in(self) -> str:
        """A new session; its token."""
        self.begun += 1
        uow, token = self.uow(), f"token {self.begun}"
        begin_session(uow, self.user, token)
        self.keep(uow)
        return token

    def let_in(self, token: str, *, own: bool = True) -> UnitOfWork:
        """The decision that a session was admitted to."""
        uow = self.uow()
        enter(uow, token_hash(token), own=own)
        return uow

    def asks(self, token: str) -> list[Event]:
        """A request with a session; what it left in the log."""
        return self.keep(self.let_in(token))

    def is_in(self, token: str) -> bool:
        try:
            self.let_in(token)
        except Refused:
            return False
        return True

    def log_out(self, token: str) -> list[Event]:
        uow = self.let_in(token)
        log_out(uow, token_hash(token))
        return self.keep(uow)

    def staff(self, command: Command[User]) -> list[Event]:
        """What staff do to Ada."""
        uow = self.uow()
        perform(uow, User, self.ada, command)
        return self.keep(uow)

    def sessions(self) -> set[str]:
        access = access_of(self.uow(), self.ada)
        return set(access.sessions) if access else set()

    def tokens(self) -> set[str]:
        """The hashes that lead to somebody."""
        return {name for (kind, name), holder in self.claims.items() if kind == "token" and holder}
