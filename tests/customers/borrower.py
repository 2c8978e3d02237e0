"""A borrower in memory, with sessions that can be begun and tried."""

from rim_ledger.admin.gate import enter, token_hash
from rim_ledger.book import Book, perform
from rim_ledger.core import Command, Event, Refused
from rim_ledger.customers.access import access_of, log_out
from rim_ledger.customers.phone_code import begin_session
from rim_ledger.lending.standing import RegisterUser
from rim_ledger.lending.user import User
from tests.spec import Memory

ADA = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")


class Borrower(Memory):
    """Ada, who has logged in before or not."""

    def __init__(self) -> None:
        super().__init__()
        self.ada, self.begun = self.world.new_id(), 0
        self.perform(User, self.ada, ADA)

    @property
    def user(self) -> User:
        return self.book().read(User, self.ada)

    def log_in(self) -> str:
        """A new session; its token."""
        self.begun += 1
        book, token = self.book(), f"token {self.begun}"
        begin_session(book, self.user, token)
        self.keep(book)
        return token

    def let_in(self, token: str, *, own: bool = True) -> Book:
        """The decision that a session was admitted to."""
        book = self.book()
        enter(book, token_hash(token), own=own)
        return book

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
        book = self.let_in(token)
        log_out(book, token_hash(token))
        return self.keep(book)

    def staff(self, command: Command[User]) -> list[Event]:
        """What staff do to Ada."""
        book = self.book()
        perform(book, User, self.ada, command)
        return self.keep(book)

    def sessions(self) -> set[str]:
        access = access_of(self.book(), self.ada)
        return set(access.sessions) if access else set()

    def tokens(self) -> set[str]:
        """The hashes that lead to somebody."""
        return {name for (kind, name), holder in self.claims.items() if kind == "token" and holder}
