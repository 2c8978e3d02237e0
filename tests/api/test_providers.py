"""The real senders, against a real SMTP server and a real HTTP one."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP as Server  # noqa: N811 - the server's side of the same
from pydantic import ValidationError

from api.outbox import sender
from api.settings import Settings
from rim_ledger.core import Refused, Unavailable
from rim_ledger.sending import Channel, Heard, Message, Sender, Unclear
from tests.spec import TestWorld

SECRET = b"a secret of the tests, 32 bytes."
Answer = tuple[int, dict[str, Any]] | None
"""Status and object; None to hang up without a word."""


class Mailbox:
    """What a mail server does with what it gets, by the address."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []

    async def handle_RCPT(  # noqa: N802 - named by the server
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        (address,) = envelope.rcpt_tos
        if address.startswith("full"):
            return "552 mailbox full"
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        if address.startswith("silent"):
            server.transport.abort()
        return "250 taken"


@asynccontextmanager
async def a_mail_server(box: Mailbox) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(box, loop=loop), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"smtp://127.0.0.1:{port}?from=ledger@rim.example"


@asynccontextmanager
async def a_gateway(answer: Callable[[str, dict[str, Any]], Answer]) -> AsyncIterator[str]:
    """A provider of SMS: `answer` is given the first line and the message of each request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert "authorization: Bearer a key" in head
        length = [line for line in head.lower().split("\r\n") if line.startswith("content-length")]
        body = await reader.readexactly(int(length[0].split(":")[1])) if length else b"{}"
        if said := answer(head.split(" HTTP")[0], json.loads(body)):
            status, fields = said
            text = json.dumps(fields).encode()
            words = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(text)}\r\n"
            writer.write(words.encode() + b"location: http://127.0.0.1:1/\r\n\r\n" + text)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://a%20key@127.0.0.1:{port}/v2/?from=RIM"


def tell(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


def set_(home: Path, **urls: str) -> Sender:
    return sender(Settings(secret_key=SECRET, home=home, env="production", **urls), TestWorld())


def test_an_email_arrives_as_it_was_written(tmp_path: Path) -> None:
    async def story() -> None:
        box = Mailbox()
        async with a_mail_server(box) as url:
            mail = set_(tmp_path, smtp_url=url)
            mail.require(Channel.EMAIL)
            with pytest.raises(Refused, match="No provider of sms"):
                mail.require(Channel.SMS)
            to, words = "ada@rim.example", "Dear Adé,\n.\n₦500 “due”"
            await mail.send(Message(Channel.EMAIL, to, "₦500 due", words, "R-1"))
            await mail.send(Message(Channel.EMAIL, to, "Hi", "<p>Hi</p>", "R-2", html=True))
            assert await mail.ask(Channel.EMAIL, "R-1") is Heard.UNKNOWN
        plain, html = box.got
        assert (plain["To"], plain["From"]) == (to, "ledger@rim.example")
        assert (plain["Subject"], plain["Message-ID"]) == ("₦500 due", "<R-1@rim.example>")
        assert plain.get_content().replace("\r\n", "\n").strip() == words
        assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")

    tell(story)


@pytest.mark.parametrize("to", ["nobody@rim.example", "full@rim.example"])
def test_what_the_server_refuses_was_certainly_not_sent(tmp_path: Path, to: str) -> None:
    async def story() -> None:
        box = Mailbox()
        async with a_mail_server(box) as url:
            mail = set_(tmp_path, smtp_url=url)
            with pytest.raises(Unavailable) as refused:
                await mail.send(Message(Channel.EMAIL, to, "Hi", "Hi", "R-1"))
        assert not isinstance(refused.value, Unclear)
        with pytest.raises(Unavailable) as refused:
            await mail.send(Message(Channel.EMAIL, "ada@rim.example", "Hi", "Hi", "R-2"))
        assert not isinstance(refused.value, Unclear), "nobody is there any more"
        assert box.got == []

    tell(story)


def test_a_server_that_falls_silent_after_the_message_may_have_it(tmp_path: Path) -> None:
    async def story() -> None:
        box = Mailbox()
        async with a_mail_server(box) as url:
            mail = set_(tmp_path, smtp_url=url)
            with pytest.raises(Unclear):
                await mail.send(Message(Channel.EMAIL, "silent@rim.example", "Hi", "Hi", "R-1"))
        assert len(box.got) == 1

    tell(story)


def test_a_subject_never_makes_another_header(tmp_path: Path) -> None:
    async def story() -> None:
        box = Mailbox()
        async with a_mail_server(box) as url:
            mail = set_(tmp_path, smtp_url=url)
            await mail.send(
                Message(Channel.EMAIL, "a@rim.example", "Hi\r\nBcc: b@x.ng", "Hi", "R-1")
            )
        (message,) = box.got
        assert (message["Subject"], message["Bcc"]) == ("Hi Bcc: b@x.ng", None)

    tell(story)


def test_an_sms_is_told_once_under_its_reference(tmp_path: Path) -> None:
    async def story() -> None:
        asked: list[tuple[str, dict[str, Any]]] = []

        def answer(line: str, message: dict[str, Any]) -> Answer:
            asked.append((line, message))
            return 202, {}

        async with a_gateway(answer) as url:
            sms = set_(tmp_path, sms_url=url)
            sms.require(Channel.SMS)
            await sms.send(Message(Channel.SMS, "+2348031234567", None, "Hi", "R-1"))
        told = {"to": "+2348031234567", "from": "RIM", "body": "Hi", "reference": "R-1"}
        assert asked == [("POST /v2/messages", told)]

    tell(story)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {}), Unavailable),
        ((401, {}), Unavailable),
        ((429, {}), Unavailable),
        ((302, {}), Unclear),
        ((408, {}), Unclear),
        ((409, {}), Unclear),
        ((500, {}), Unclear),
        ((503, {}), Unclear),
        (None, Unclear),
    ],
)
def test_only_a_plain_no_means_that_an_sms_was_not_sent(
    tmp_path: Path, answer: Answer, error: type[Exception]
) -> None:
    async def story() -> None:
        async with a_gateway(lambda *_: answer) as url:
            sms = set_(tmp_path, sms_url=url)
            with pytest.raises(error) as said:
                await sms.send(Message(Channel.SMS, "+2348031234567", None, "Hi", "R-1"))
            assert type(said.value) is error
        with pytest.raises(Unavailable) as gone:
            await sms.send(Message(Channel.SMS, "+2348031234567", None, "Hi", "R-1"))
        assert type(gone.value) is Unavailable, "it was never reached"

    tell(story)


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        ((200, {"status": "accepted"}), Heard.SENT),
        ((200, {"status": "delivered"}), Heard.DELIVERED),
        ((200, {"status": "failed"}), Heard.FAILED),
        ((200, {"status": "lost in thought"}), Heard.UNKNOWN),
        ((404, {}), Heard.NEVER),
    ],
)
def test_the_gateway_is_asked_about_a_reference(
    tmp_path: Path, answer: Answer, heard: Heard
) -> None:
    async def story() -> None:
        def known(line: str, _: dict[str, Any]) -> Answer:
            assert line == "GET /v2/messages/R-1"
            return answer

        async with a_gateway(known) as url:
            assert await set_(tmp_path, sms_url=url).ask(Channel.SMS, "R-1") is heard

    tell(story)


@pytest.mark.parametrize("answer", [(500, {}), None])
def test_a_gateway_that_gives_no_answer_is_asked_again(tmp_path: Path, answer: Answer) -> None:
    async def story() -> None:
        async with a_gateway(lambda *_: answer) as url:
            with pytest.raises(Unavailable):
                await set_(tmp_path, sms_url=url).ask(Channel.SMS, "R-1")

    tell(story)


@pytest.mark.parametrize(
    "urls",
    [
        {"smtp_url": "smtp://mail.example.com"},
        {"smtp_url": "https://mail.example.com?from=a@b.ng"},
        {"sms_url": "http://sms.example.com"},
        {"sms_url": "https://"},
    ],
)
def test_a_provider_that_cannot_be_meant_is_refused_at_the_start(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    with pytest.raises(ValidationError):
        Settings(secret_key=SECRET, home=tmp_path, **urls)
