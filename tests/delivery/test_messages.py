"""The real providers, against a real SMTP server and a real HTTP one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast
from uuid import UUID

import pytest
from aiosmtplib import SMTP
from pydantic import SecretStr

from rim_ledger.delivery import egress, smtp
from rim_ledger.delivery.breaker import Breaker
from rim_ledger.delivery.egress import Egress
from rim_ledger.delivery.endpoint import Endpoint
from rim_ledger.delivery.http import SmsGateway
from rim_ledger.delivery.port import UNKNOWN, Channel, Message, Verdict
from rim_ledger.delivery.signature import SignedMessage as Signed
from rim_ledger.delivery.smtp import SmtpServer
from rim_ledger.system.integration import IntegrationType
from tests.delivery.http_server import Request, a_provider, answer
from tests.delivery.mailbox import PASSWORD, USER, Mailbox, a_mail_server
from tests.delivery.test_egress import naming
from tests.spec import TestWorld

KEY, SECRET = "a-key-of-the-gateway", "a-secret-of-the-gateway"
Answering = Callable[[Request], bytes | None]


@pytest.fixture(autouse=True)
def _waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, who answers is heard. Nobody waits to try again."""
    monkeypatch.setattr(egress, "WAITS_SECONDS", (0.0, 0.0))


class Noted:
    """What the circuit breaker hears: whether each call failed."""

    def __init__(self) -> None:
        self.calls: list[bool] = []

    async def note(self, integration: UUID, *, failed: bool) -> None:
        assert integration == UUID(int=7)
        self.calls.append(failed)


def a_line(kind: IntegrationType, url: str, sender: str, key: str, secret: str | None) -> Endpoint:
    return Endpoint(
        id=UUID(int=7),
        name="Provider",
        type=kind,
        base_url=url,
        sender=sender,
        key=SecretStr(key),
        secret=SecretStr(secret) if secret else None,
    )


def a_mail(url: str, noted: Noted, way: Egress | None = None) -> SmtpServer:
    line = a_line(IntegrationType.EMAIL, url, "ledger@rim.example", USER, PASSWORD)
    way = way or Egress(development=True)
    return SmtpServer(line, way, cast("Breaker", noted), TestWorld(), asyncio.Semaphore(8))


def a_gateway(
    url: str, noted: Noted, secret: str | None = None, way: Egress | None = None
) -> SmsGateway:
    line = a_line(IntegrationType.SMS, url + "/v2/", "RIM", KEY, secret)
    way = way or Egress(development=True)
    return SmsGateway(line, way, cast("Breaker", noted), TestWorld())


@asynccontextmanager
async def answering(said: Answering) -> AsyncIterator[str]:
    async def each(request: Request) -> bytes | None:
        return said(request)

    async with a_provider(each) as url:
        yield url


@pytest.fixture
def noted() -> Noted:
    return Noted()


def letter(to: str, subject: str = "Hi", body: str = "Hi", html: bool = False) -> Message:
    return Message(Channel.EMAIL, to, subject, body, "R-1", html)


def sms(reference: str = "R-1") -> Message:
    return Message(Channel.SMS, "+2348031234567", None, "Hi", reference)


async def test_an_email_arrives_as_it_was_written(noted: Noted) -> None:
    box, to, words = Mailbox(), "ada@rim.example", "Dear Adé,\n.\n₦500 “due”"
    async with a_mail_server(box) as url:
        mail = a_mail(url, noted)
        await mail.send(letter(to, "₦500 due", words))
        await mail.send(letter(to, body="<p>Hi</p>", html=True))
        assert await mail.query("R-1") == UNKNOWN
    assert noted.calls == [False, False]
    plain, html = box.got
    assert (plain["To"], plain["From"]) == (to, "ledger@rim.example")
    assert (plain["Subject"], plain["Message-ID"]) == ("₦500 due", "<R-1@rim.example>")
    assert plain.get_content().replace("\r\n", "\n").strip() == words
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert (box.logins, box.left) == ([(USER, PASSWORD, False)] * 2, 2)


@pytest.mark.parametrize("who", ["nobody", "busy", "full"])
async def test_a_server_that_does_not_want_one_message_was_not_sent_it_and_is_well(
    noted: Noted, who: str
) -> None:
    box = Mailbox()
    tries = 3 if who == "busy" else 1
    async with a_mail_server(box) as url:
        await refuse(a_mail(url, noted), f"{who}@rim.example")
    assert noted.calls == [False] * tries
    assert (box.asked, box.got) == (tries, [])


async def refuse(mail: SmtpServer, to: str = "ada@rim.example") -> None:
    assert (await mail.send(letter(to))).verdict is Verdict.FAILED, "nothing was sent"


async def test_of_an_address_that_no_server_could_be_told_none_hears(noted: Noted) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        await refuse(a_mail(url, noted), "adé@rim.example")
    assert noted.calls == []
    assert (box.logins, box.asked) == ([], 0)


async def test_a_server_that_is_not_there_or_goes_away_or_knows_us_not_has_failed(
    noted: Noted,
) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        line = a_line(IntegrationType.EMAIL, url, "ledger@rim.example", USER, "another-one")
        way, breaker = Egress(development=True), cast("Breaker", noted)
        await refuse(SmtpServer(line, way, breaker, TestWorld(), asyncio.Semaphore(8)))
        assert noted.calls == [True], "a password is no better the second time"
        box.replies["RCPT"] = ["421 closing"] * 3
        await refuse(a_mail(url, noted))
    await refuse(a_mail(url, noted))
    assert noted.calls == [True] * (1 + 3 + 3)
    assert (box.asked, box.got) == (3, [])


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_what_a_mail_server_does_not_take_now_is_handed_over_again(
    noted: Noted, step: str
) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        box.replies[step] = ["451 not now", "452 no room"]
        await a_mail(url, noted).send(letter("ada@rim.example"))
    assert noted.calls == [step == "MAIL"] * 2 + [False]
    assert (box.asked, [each["Message-ID"] for each in box.got]) == (3, ["<R-1@rim.example>"])


async def test_a_mail_server_that_cannot_let_us_in_now_is_asked_again(noted: Noted) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        box.replies["AUTH"] = ["454 not now"] * 2  # One for each way to log in.
        await a_mail(url, noted).send(letter("ada@rim.example"))
    assert noted.calls == [True, False]
    assert (len(box.logins), box.asked, len(box.got)) == (3, 1, 1)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_what_a_mail_server_never_takes_is_offered_once(noted: Noted, step: str) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        box.replies[step] = ["554 no"]
        await refuse(a_mail(url, noted))
    assert noted.calls == [step == "MAIL"]
    assert (box.asked, box.got) == (1, [])


async def test_a_message_that_waits_to_be_tried_again_keeps_no_other_from_the_server(
    noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, conversations = Mailbox(), asyncio.Semaphore(1)
    waits = list[bool]()

    class Watching(float):
        """Looks at the server while a message waits to be tried again."""

        def __mul__(self, other: float) -> float:
            waits.append(conversations.locked())
            return 0.0

    monkeypatch.setattr(egress, "WAITS_SECONDS", (Watching(), Watching()))
    async with a_mail_server(box) as url:
        sender = a_mail(url, noted)
        sender._conversations = conversations
        await refuse(sender, "busy@rim.example")
    assert noted.calls == [False] * 3
    assert (box.asked, waits) == (3, [False, False])


@pytest.mark.parametrize(
    ("greeting", "tries"), [(b"421 too many\r\n", 3), (b"554 go away\r\n", 1), (b"", 1)]
)
async def test_a_server_that_is_too_busy_to_talk_is_tried_again(
    noted: Noted, greeting: bytes, tries: int
) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await refuse(a_mail(f"smtp://127.0.0.1:{port}", noted))
    assert noted.calls == [True] * tries


@pytest.mark.parametrize("reply", ["251 perhaps", "354 go on"])
async def test_a_server_that_neither_takes_nor_refuses_a_message_may_have_it(
    noted: Noted, reply: str
) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        box.replies["DATA"] = [reply]
        assert await a_mail(url, noted).send(letter("ada@rim.example")) == UNKNOWN
    assert noted.calls == [True]
    assert box.asked == 1


async def test_a_server_that_falls_silent_after_the_message_may_have_it(noted: Noted) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        assert await a_mail(url, noted).send(letter("silent@rim.example")) == UNKNOWN
    assert noted.calls == [True]
    assert (box.asked, len(box.got)) == (1, 1), "it is never sent again"


async def test_a_server_that_is_slow_at_every_step_is_waited_for_a_bounded_time(
    noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        """Whoever is told a message, and never comes to an end with it."""

        async def mail(self, _: str) -> None: ...

        async def rcpt(self, _: str) -> None: ...

        async def data(self, _: bytes) -> None:
            await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(smtp, "STEP_TIMEOUT_SECONDS", 0.01)
    async with asyncio.timeout(60):
        server = cast("SMTP", Slow())
        outcome = await a_mail("", noted)._hand_over(server, "a@rim.example", b"")
    assert outcome == UNKNOWN


async def test_an_email_is_told_in_ascii_to_whom_it_is_for_and_what_it_says(noted: Noted) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        await a_mail(url, noted).send(letter("ada@пример.рф", "₦5", "₦5,000 due\n.\n"))
        await a_mail(url, noted).send(letter("ada@rim.example", body="<p>₦</p>", html=True))
    assert noted.calls == [False, False]
    first, second = box.got
    assert first["To"] == "ada@xn--e1afmkfd.xn--p1ai"
    for each in (first, second):
        assert each["Content-Transfer-Encoding"] == "quoted-printable"
        assert each.as_bytes().isascii()
    assert first.get_content().splitlines() == ["₦5,000 due", "."]
    assert second.get_content().strip() == "<p>₦</p>"


async def test_a_subject_never_makes_another_header(noted: Noted) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        await a_mail(url, noted).send(letter("a@rim.example", "Hi\r\nBcc: b@x.ng"))
    (message,) = box.got
    assert (message["Subject"], message["Bcc"]) == ("Hi Bcc: b@x.ng", None)


async def test_a_name_that_is_rebound_into_a_network_gets_nothing(noted: Noted) -> None:
    box, heard = Mailbox(), list[Request]()

    def way() -> Egress:
        return Egress(development=True, resolve=naming(["127.0.0.1"], ["169.254.169.254"]))

    def said(request: Request) -> bytes:
        heard.append(request)
        return answer(202)

    async with a_mail_server(box) as url:
        mail = a_mail(url.replace("127.0.0.1", "localhost"), noted, way())
        await mail.send(letter("ada@rim.example"))
        await refuse(mail)
    async with answering(said) as url:
        gateway = a_gateway(url.replace("127.0.0.1", "localhost"), noted, way=way())
        await gateway.send(sms())
        assert (await gateway.send(sms())).verdict is Verdict.FAILED
    assert noted.calls == [False, True, False, True]
    assert (len(box.got), len(heard)) == (1, 1)


async def test_an_sms_is_told_once_under_its_reference_and_signed(noted: Noted) -> None:
    heard: list[Request] = []

    def said(request: Request) -> bytes:
        heard.append(request)
        return answer(202)

    async with answering(said) as url:
        await a_gateway(url, noted).send(sms())
        await a_gateway(url, noted, SECRET).send(sms())
    assert noted.calls == [False, False]
    plain, signed = heard
    told = {"to": "+2348031234567", "from": "RIM", "body": "Hi", "reference": "R-1"}
    assert (plain.method, plain.path, json.loads(plain.body)) == ("POST", "/v2/messages", told)
    assert plain.headers["authorization"] == f"Bearer {KEY}"
    assert plain.headers["idempotency-key"] == "R-1"
    assert "webhook-signature" not in plain.headers
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    message = Signed(*(signed.headers[name] for name in names), signed.body)
    assert message.is_signed(SECRET, TestWorld().now())


@pytest.mark.parametrize(
    ("status", "verdict", "failed"),
    [
        (400, Verdict.FAILED, False),
        (422, Verdict.FAILED, False),
        (401, Verdict.FAILED, True),
        (404, Verdict.FAILED, True),
        (429, Verdict.FAILED, True),
        (409, Verdict.UNKNOWN, False),
        (302, Verdict.UNKNOWN, True),
        (408, Verdict.UNKNOWN, True),
        (500, Verdict.UNKNOWN, True),
        (503, Verdict.UNKNOWN, True),
        (None, Verdict.UNKNOWN, True),
    ],
)
async def test_only_a_plain_no_means_that_an_sms_was_not_sent(
    noted: Noted, status: int | None, verdict: Verdict, failed: bool
) -> None:
    tried = 3 if status == 429 else 1

    def said(_: Request) -> bytes | None:
        return answer(status, location="http://127.0.0.1:1/") if status else None

    async with answering(said) as url:
        assert (await a_gateway(url, noted).send(sms())).verdict is verdict
    outcome = await a_gateway(url, noted).send(sms())
    assert outcome.verdict is Verdict.FAILED, "it was never reached"
    assert noted.calls == [failed] * tried + [True] * 3


@pytest.mark.parametrize("failures", [1, 2])
async def test_a_gateway_that_is_too_busy_is_asked_again_under_the_same_reference(
    noted: Noted, failures: int
) -> None:
    heard = list[str]()

    def said(request: Request) -> bytes:
        heard.append(request.headers["idempotency-key"])
        return answer(429 if len(heard) <= failures else 202)

    async with answering(said) as url:
        await a_gateway(url, noted).send(sms())
    assert noted.calls == [True] * failures + [False]
    assert heard == ["R-1"] * (failures + 1)


@pytest.mark.parametrize(
    ("status", "word", "verdict"),
    [
        (200, "accepted", Verdict.ACCEPTED),
        (200, "delivered", Verdict.DELIVERED),
        (200, "failed", Verdict.FAILED),
        (200, "lost in thought", Verdict.UNKNOWN),
        (404, "", Verdict.ABSENT),
    ],
)
async def test_the_gateway_is_asked_about_a_reference(
    noted: Noted, status: int, word: str, verdict: Verdict
) -> None:
    def said(request: Request) -> bytes:
        assert (request.method, request.path) == ("GET", "/v2/messages/R-1")
        return answer(status, json.dumps({"status": word}).encode())

    async with answering(said) as url:
        outcome = await a_gateway(url, noted).query("R-1")
        assert outcome
        assert outcome.verdict is verdict
    assert noted.calls == [False]


@pytest.mark.parametrize("text", [answer(500), answer(401), None])
async def test_a_gateway_that_gives_no_answer_says_nothing(
    noted: Noted, text: bytes | None
) -> None:
    async with answering(lambda _: text) as url:
        assert await a_gateway(url, noted).query("R-1") is None
    assert noted.calls == [True]
