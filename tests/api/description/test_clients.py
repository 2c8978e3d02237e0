"""What others make of the description: they find nothing wrong with it, and their clients work."""

import importlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.api.description.conftest import Run
from tests.api.description.test_description import document
from tests.cli.service import PATIENCE, TREE, a_service, stop, wait_for

pytestmark = [pytest.mark.heavy, pytest.mark.database]

PAGE: Final = TREE / "docs/how-to/generate-a-client.md"
NAME: Final = "rim_client"
ADMIN: Final = ("admin", "correct horse battery")
OFFICER: Final = ("officer", "tortoise in harmattan")
ROW: Final = "return=representation"
STATEMENT: Final = b"date,reference,amount,provider,narration\n2026-01-05,R-1,1.00,paystack,\n"


def block(language: str) -> str:
    """The block of the page in a language, as it is shown."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def operation_ids() -> set[str]:
    paths = document()["paths"].values()
    return {operation["operationId"] for path in paths for operation in path.values()}


def test_the_page_names_what_is_described() -> None:
    """The one test here that needs no tool, so that there is always one that runs."""
    said = operation_ids() | document()["components"]["schemas"].keys()
    imported = re.findall(r"^from \S+ import (.*)$", block("python"), re.MULTILINE)
    names = {name for line in imported for name in line.split(", ")}
    assert names - {"AuthenticatedClient", "Client"} <= said
    looked_up = set(re.findall(r'\["(\w+)"\]', block("ts")))
    assert looked_up - {"schemas", "responses", "content"} <= said


def test_redocly_finds_nothing_by_its_recommended_rules(node: Run, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document()))
    arguments = ("lint", "openapi.json", "--extends", "recommended", "--format", "json")
    done = node("redocly", *arguments, cwd=tmp_path)
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["problems"] == []
    assert found["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


def test_the_types_of_openapi_typescript_compile(node: Run, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document()))
    done = node("openapi-typescript", "openapi.json", "-o", "rim-client.ts", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # A type that accepts anything would accept the page's program too.
    wrong = '// @ts-expect-error\nexport const never: Loan["status"] = "lost";\n'
    (tmp_path / "page.ts").write_text(block("ts") + wrong)
    strict = ("--noEmit", "--strict", "--target", "es2022", "--moduleResolution", "bundler")
    done = node("tsc", *strict, "--module", "es2022", "page.ts", "rim-client.ts", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    declared = (tmp_path / "rim-client.ts").read_text()
    assert ": Record<string, never>" not in declared, "an object of any fields is taken for empty"


def test_a_generated_client_of_python_runs_the_tutorial(
    python_generator: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(python_generator, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with a_service() as service:
        passwords = {"RIM_ADMIN_PASSWORD": ADMIN[1], "RIM_OFFICER_PASSWORD": OFFICER[1]}
        process, url, _ = service.up(**passwords)
        wait_for(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE).json()["lag"] == 0)
        with signed_in(url, *ADMIN) as admin, signed_in(url, *OFFICER) as officer:
            tutorial(url, admin, officer)
        stop(process)


def generate(python_generator: Run, place: Path) -> None:
    """Generate the package, with the page's settings: every operation, and no warning."""
    (place / "openapi.json").write_text(json.dumps(document()))
    (place / "client.yaml").write_text(block("yaml"))
    arguments = ("--path", "openapi.json", "--config", "client.yaml", "--meta", "none")
    done = python_generator(
        "generate", *arguments, "--output-path", NAME, "--fail-on-warning", cwd=place
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "warning" not in said.lower()
    generated = {each.stem for each in (place / NAME / "api").glob("*/[!_]*.py")}
    assert generated == operation_ids()


class Api:
    """A generated package, asked by somebody who logged in."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.models = importlib.import_module(f"{NAME}.models")

    def ask(self, tag: str, operation: str, *path: str, **more: Any) -> Any:
        """What an operation answers."""
        module = importlib.import_module(f"{NAME}.api.{tag}.{operation}")
        return module.sync(*path, client=self.client, **more)


@contextmanager
def signed_in(url: str, username: str, password: str) -> Iterator[Api]:
    package = importlib.import_module(NAME)
    with package.Client(url) as client:
        api = Api(client)
        form = api.models.LogIn(username=username, password=password)
        session = api.ask("auth", "log_in", body=form)
    assert isinstance(session, api.models.Session), session
    with package.AuthenticatedClient(url, session.token) as client:
        yield Api(client)


def tutorial(url: str, admin: Api, officer: Api) -> None:
    """docs/tutorial/lend-and-repay.md, and what is neither JSON nor text."""
    models = admin.models
    myself = admin.ask("auth", "get_myself")
    assert (myself.role, myself.permissions[0].resource) == ("superadmin", "users")

    person = models.RegisterUser(phone="08031234567", email="ada@example.com", name="Ada Obi")
    ada = admin.ask("users", "register_user", body=person, prefer=ROW)
    assert isinstance(ada, models.UserRow)
    assert (ada.phone, ada.credit_limit) == ("+2348031234567", 1000)

    wanted = {"user_id": str(ada.id), "network": models.Network.MTN}
    refused = admin.ask("loans", "request_loan", body=models.RequestLoan(amount=5000, **wanted))
    assert isinstance(refused, models.Problem)
    assert (refused.status, refused.code) == (409, "credit-limit-exceeded")
    loan = admin.ask("loans", "request_loan", body=models.RequestLoan(amount=800, **wanted))
    assert isinstance(loan, models.LoanReceipt)
    assert (loan.loan_id[:5], loan.version) == ("LOAN-", 1)

    assert admin.ask("loans", "approve_loan", str(loan.id)).code == "self-approval"
    given = {"URL": url, "NAME": OFFICER[0], "PASSWORD": OFFICER[1], "LOAN": str(loan.id)}
    exec(block("python"), given)  # The officer approves it as the page says.
    lent = officer.ask("loans", "disburse_loan", str(loan.id), prefer=ROW)
    assert isinstance(lent, models.LoanRow)
    assert (lent.status, lent.amount_due) == (models.LoanStatus.DISBURSED, 920)

    repayment = models.TransactionType.REPAYMENT
    cash = {"user_id": str(ada.id), "payment_method": models.PaymentMethod.CASH, "type_": repayment}

    def pay(key: str, amount: float) -> Any:
        body = models.RecordTransaction(amount=amount, **cash)
        return admin.ask("transactions", "record_transaction", body=body, idempotency_key=key)

    assert pay("till-7-0001", 300) == pay("till-7-0001", 300)
    last = pay("till-7-0002", 640).position
    repaid = admin.ask("loans", "get_loan", str(loan.id), ledger_position=last)
    assert (repaid.status, repaid.outstanding_amount) == (models.LoanStatus.COMPLETED, 0)
    ada = admin.ask("users", "get_user", str(ada.id))
    assert (ada.credit_score, ada.credit_balance) == (530, 20)
    assert ada.repayment_status is models.RepaymentStatus.COMPLETED
    read(admin, loan, last)
    send_files(admin, ada)


def read(admin: Api, loan: Any, position: int) -> None:
    """Lists with filters, events, and explanations."""
    models = admin.models
    done = [models.LoanStatus.COMPLETED]
    page = admin.ask("loans", "list_loans", status=done, sort=models.ListLoansSort.DUEDATE)
    assert isinstance(page, models.LoanPage)
    assert [each.id for each in page.items] == [loan.id]
    lines = admin.ask(
        "audit_logs", "list_audit_logs", entity_id=[str(loan.id)], ledger_position=position
    )
    assert "LoanApproved" in {each.action for each in lines.items}
    events = admin.ask("loans", "list_loan_events", str(loan.id))
    assert [(each.type_, each.streamversion) for each in events.items][:2] == [
        ("LoanRequested", 1),
        ("LoanApproved", 2),
    ]
    assert events.items[0].data["amount"] == "800.00"
    figures = admin.ask("loans", "explain_loan", str(loan.id)).figures
    assert figures.outstanding_amount.events[-1].by.name == "admin"
    schema = admin.ask("event_schemas", "get_event_schema", "LoanApproved")
    assert schema["$id"].startswith("/v1/events/schemas/LoanApproved")
    assert admin.ask("service", "get_readiness").status == "ready"


def send_files(admin: Api, ada: Any) -> None:
    """Bodies and answers of NDJSON, CSV, forms, and bytes."""
    models = admin.models
    file_of = importlib.import_module(f"{NAME}.types").File
    limit = models.SetCreditLimit(limit=900, reason="She asked for it.")
    line = models.Line(op=f"POST /v1/users/{ada.id}/credit-limit", body=limit.to_dict())
    lines = json.dumps(line.to_dict()).encode()
    told = admin.ask("bulk", "submit_bulk", body=file_of(BytesIO(lines)))
    answers = [json.loads(each) for each in told.payload.read().splitlines()]
    assert [each["status"] for each in answers] == [200], answers
    wrong = file_of(BytesIO(b'{"op": "POST /v1/loans"}\n{"op": "none"}\n'))
    refused = admin.ask("bulk", "submit_bulk", body=wrong, atomic=True)
    assert len(refused.payload.read().splitlines()) == 2
    statement = admin.ask("statements", "upload_statement", body=file_of(BytesIO(STATEMENT)))
    assert (statement.lines, statement.unknown) == (1, 1)
    assert admin.ask("journal", "export_journal").startswith("position,at,event,")

    opened = models.OpenTicket(
        customer_id=str(ada.id),
        subject="A receipt",
        description="See the file.",
        category=models.Category.LOAN,
    )
    ticket = str(admin.ask("tickets", "open_ticket", body=opened).id)
    body = models.AddAttachmentBody(file_of(BytesIO(b"300 naira"), "receipt.txt", "text/plain"))
    added = admin.ask("tickets", "add_attachment", ticket, body=body)
    assert (added.name, added.size) == ("receipt.txt", 9)
    found = admin.ask("tickets", "download_attachment", ticket, str(added.id))
    assert found.payload.read() == b"300 naira"
