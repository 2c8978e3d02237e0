"""Sessions: how long each admits, and any story of them against what it should come to."""

from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import Struct
from msgspec.structs import replace
from pydantic import SecretStr

from rim_ledger.admin.admin_commands import (
    ActivateAdmin,
    AssignRole,
    DeactivateAdmin,
    LogOut,
    ReinstateAdmin,
    ResetPassword,
    RevokeSessions,
    SuspendAdmin,
)
from rim_ledger.admin.admin_role import SUPERADMIN
from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.admin.authentication import SESSION, USES_RECORDED, begin_session, enter
from rim_ledger.admin.security_settings import (
    SETTINGS,
    EditSecuritySettings,
    SecuritySettings,
    set_defaults,
)
from rim_ledger.admin.session import SESSIONS_MAX, Session, closed, opened, seen, token_hash
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden, Unauthenticated
from rim_ledger.engine.unit_of_work import UnitOfWork
from tests.admin.staff import Staff, ready
from tests.spec import START, examples, names

OFFICE, CAFE = "203.0.113.7", "198.51.100.20"
STANDING: dict[str, tuple[str, Command[AdminUser], str]] = {
    "suspend": ("active inactive", SuspendAdmin(reason="lost a laptop"), "suspended"),
    "reinstate": ("suspended", ReinstateAdmin(), "active"),
    "deactivate": ("active", DeactivateAdmin(), "inactive"),
    "activate": ("inactive", ActivateAdmin(), "active"),
}


ACTS = (*STANDING, "role", "password", "revoke", *["nothing"] * 7)
"""Mostly nothing: sessions must live for a while, to tell a story."""
RESET = ready(ResetPassword(password=SecretStr("another slow horse")))


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("minutes", "idle", "lives"),
    [
        (0, 30, True),
        (29.99, 30, True),
        (30, 30, False),
        (30, 60, False),  # what is allowed later revives nothing
        (5, 5, False),  # what is allowed no more ends at once
        (4.99, 5, True),
    ],
)
def test_a_session_lives_while_it_is_used(minutes: float, idle: float, lives: bool) -> None:
    session = Session(START + SESSION, START, START + 30 * MINUTE)
    assert session.is_live(START + minutes * MINUTE, idle * MINUTE) is lives


def test_a_session_ends_after_twelve_hours_however_much_it_is_used() -> None:
    end = START + SESSION
    session = Session(end, end - MINUTE, end + 29 * MINUTE)
    assert session.is_live(end - MINUTE, 30 * MINUTE)
    assert not session.is_live(end, 30 * MINUTE)


def test_what_was_seen_closed_or_opened_leaves_the_other_sessions_alone() -> None:
    one, two, three = (
        Session(START + SESSION, START, START + minutes * MINUTE) for minutes in (30, 10, 45)
    )
    both = {"one": one, "two": two}
    at = START + 20 * MINUTE
    used = Session(one.expires_at, at, at + 30 * MINUTE)
    assert seen(both, "one", at, used.idle_at) == {"one": used, "two": two}
    assert seen(both, "none", at, used.idle_at) == both
    assert closed(both, "two") == {"one": one}
    assert opened(both, "three", three) == both | {"three": three}
    late = Session(at + SESSION, at, at + 30 * MINUTE)
    assert opened(both, "late", late) == {"one": one, "late": late}


def test_use_is_noted_when_a_tenth_of_the_timeout_has_passed_since_it_was_noted_last() -> None:
    staff = Staff()
    uow = staff.uow()
    begin_session(uow, uow.read(AdminUser, staff.root), "token")
    staff.keep(uow)
    for minutes, noted in ((0, 0), (2.99, 0), (3, 1), (3, 0), (5.99, 0), (20, 1)):
        staff.environment.time = START + minutes * MINUTE
        uow = staff.uow()
        enter(uow, token_hash("token"))
        assert names(staff.keep(uow)) == ["AdminSeen"] * noted


class Token(Struct):
    """What the story knows of a session."""

    begun_at: datetime
    used_at: datetime
    """When it was used last, noted or not."""
    noted_at: datetime
    idle_at: datetime
    closed: bool = False


class Sessions(RuleBasedStateMachine):
    """Ada logs in here and there, and much happens to her; root never leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.staff = Staff()
        self.ada = self.staff.hire("ada", SUPERADMIN)
        uow = self.staff.uow()
        set_defaults(uow)
        self.staff.keep(uow)
        self.roles = [SUPERADMIN, self.staff.role("clerk")]
        self.tokens: dict[str, Token] = {}
        self.timeout = timedelta(minutes=30)
        self.blocked = False
        self.status = "active"

    @property
    def now(self) -> datetime:
        return self.staff.environment.now()

    def lives(self, token: Token) -> bool:
        ends = min(token.begun_at + SESSION, token.idle_at, token.noted_at + self.timeout)
        return not token.closed and self.now < ends

    def recent(self, back: int) -> tuple[str, Token]:
        """One of the newest sessions."""
        return list(self.tokens.items())[-4:][-1 - back :][0]

    def knock(self, name: str, ip: str) -> UnitOfWork:
        """Ask with a token; nothing is kept of it unless the book is."""
        uow = self.staff.uow()
        uow.stamp = replace(uow.stamp, ip=ip)
        enter(uow, token_hash(name))
        assert uow.stamp.actor.id == self.ada
        return uow

    @initialize()
    def begin(self) -> None:
        self.log_in()

    @rule()
    def log_in(self) -> None:
        if self.status != "active":
            return
        name = f"token {len(self.tokens)}"
        uow = self.staff.uow()
        begin_session(uow, uow.read(AdminUser, self.ada), name)
        self.staff.keep(uow)
        self.tokens[name] = Token(self.now, self.now, self.now, self.now + self.timeout)
        open_ = [each for each in self.tokens.values() if not each.closed]
        ended = [each for each in open_ if self.now >= min(each.begun_at + SESSION, each.idle_at)]
        for each in [*ended, *[one for one in open_ if one not in ended][:-SESSIONS_MAX]]:
            each.closed = True

    @rule(back=st.integers(0, 3))
    def use(self, back: int) -> None:
        name, token = self.recent(back)
        if self.lives(token):
            assert self.now - token.used_at < self.timeout
            assert self.now - token.begun_at < SESSION
            self.staff.keep(self.knock(name, OFFICE))
            token.used_at = self.now
            if self.now >= token.noted_at + self.timeout / USES_RECORDED:
                token.noted_at, token.idle_at = self.now, self.now + self.timeout

    @rule(minutes=st.sampled_from([1, 3, 27, 30, 60, 300]))
    def time_passes(self, minutes: int) -> None:
        self.staff.environment.time += timedelta(minutes=minutes)

    @rule(minutes=st.sampled_from([5, 30, 60, 1440]))
    def set_the_timeout(self, minutes: int) -> None:
        wish = EditSecuritySettings(session_timeout=minutes)
        self.edit(wish)
        self.timeout = timedelta(minutes=minutes)

    @rule(blocked=st.booleans())
    def block_the_cafe(self, blocked: bool) -> None:
        self.edit(EditSecuritySettings(ip_blacklist=[CAFE] if blocked else []))
        self.blocked = blocked

    def edit(self, wish: EditSecuritySettings) -> None:
        self.staff.perform(SecuritySettings, SETTINGS, wish)

    @rule(what=st.sampled_from(ACTS))
    def root_acts(self, what: str) -> None:
        if what == "nothing":
            return
        before, command, after = STANDING.get(what, ("", RevokeSessions(), self.status))
        match what:
            case "role":
                self.roles.reverse()
                command = AssignRole(role_id=self.roles[0])
            case "password":
                command = RESET
            case "revoke":
                pass
            case _ if self.status not in before.split():
                return
        self.staff.ask(self.staff.root, AdminUser, self.ada, command)
        self.status = after
        if what not in ("reinstate", "activate"):
            for token in self.tokens.values():
                token.closed = True

    @rule(back=st.integers(0, 3))
    def log_out(self, back: int) -> None:
        name, token = self.recent(back)
        self.staff.perform(AdminUser, self.ada, LogOut(session=token_hash(name)))
        token.closed = True

    @invariant()
    def each_token_admits_exactly_as_long_as_it_should(self) -> None:
        for name, token in self.tokens.items():
            for ip in (OFFICE, CAFE):
                if not self.lives(token):
                    with pytest.raises(Unauthenticated):
                        self.knock(name, ip)
                elif self.blocked and ip == CAFE:
                    with pytest.raises(Forbidden):
                        self.knock(name, ip)
                else:
                    self.knock(name, ip)

    @invariant()
    def the_ledger_knows_the_open_sessions_and_holds_their_names(self) -> None:
        admin = self.staff.known(self.ada)
        open_ = {token_hash(name) for name, each in self.tokens.items() if not each.closed}
        claims = self.staff.claims.items()
        held = {name for (kind, name), holder in claims if kind == "token" and holder}
        assert set(admin.sessions) == held == open_
        assert admin.status == AdminStatus(self.status)

    @invariant()
    def replaying_the_log_gives_the_same_sessions(self) -> None:
        again = self.staff.replayed()[self.ada].aggregate
        assert again == self.staff.known(self.ada)


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=examples(100), stateful_step_count=40)
