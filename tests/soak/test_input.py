"""Random input for every operation of the OpenAPI document (make soak).

SOAK_EXAMPLES says how many requests an operation gets; `--hypothesis-seed` repeats a run.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.specs.openapi import checks as described

from api.app import Api
from api.config.settings import Settings
from tests.cli.service import a_service, stop
from tests.cli.trial import PASSWORD
from tests.real_loans import log_in

EXAMPLES: Final = int(os.environ.get("SOAK_EXAMPLES", "300"))
ENDS_THE_SESSION: Final = re.compile("/auth/(logout|password)$")
CHECKS: Final = [
    checks.not_a_server_error,
    described.status_code_conformance,
    described.content_type_conformance,
    described.response_headers_conformance,
    described.response_schema_conformance,
]

pytestmark = pytest.mark.soak


class UnitOfWork:
    """A running service with one thing of each kind, so that some of the random input fits."""

    def __init__(self, url: str) -> None:
        self.url = url
        with httpx.Client(base_url=url, timeout=30) as http:
            self.caller = http.headers = log_in(http, "admin", PASSWORD)  # type: ignore[assignment]
            self.known = dict(self._fill(http))

    def _fill(self, http: httpx.Client) -> Iterator[tuple[str, str]]:
        def make(path: str, **body: Any) -> str:
            answer = http.post(path, json=body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        user = make("/v1/users", phone="08031234567", email="ada@rim.example", name="Ada")
        role = make("/v1/admin-roles", name="clerk", permissions=[])
        clerk = {"username": "clerk", "email": "clerk@rim.example", "password": PASSWORD}
        yield "users", user
        yield "loans", make("/v1/loans", userId=user, amount=100, network="MTN")
        money = {"userId": user, "amount": 10, "paymentMethod": "card"}
        yield "transactions", make("/v1/transactions", type="repayment", **money)
        yield "admin-roles", role
        yield "admin-users", make("/v1/admin-users", roleId=role, **clerk)

    def aim(self, case: schemathesis.Case) -> None:
        """Let a request meet something that is there."""
        kind = case.path.removeprefix("/v1/").split("/")[0]
        if "id" in case.path_parameters and kind in self.known:
            case.path_parameters["id"] = self.known[kind]
        if "category" in case.path_parameters:
            case.path_parameters |= {"category": "lending", "key": "autoApprove"}
        if isinstance(case.body, dict) and "userId" in case.body:
            case.body["userId"] = self.known["users"]


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: schemathesis.SerializationContext, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@pytest.fixture(scope="module")
def uow() -> Iterator[UnitOfWork]:
    with a_service() as service:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        yield UnitOfWork(url)
        stop(process)


def sent_by_line() -> dict[str, Any]:
    """The document, where a body of lines is a line of them."""
    document = Api(Settings(secret_key=bytes(32))).openapi()
    content = document["paths"]["/v1/bulk"]["post"]["requestBody"]["content"]
    for body in content.values():
        body["schema"] = body["schema"]["contentSchema"]
    return document


OPERATIONS: Final = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(sent_by_line()).get_all_operations()
    if not ENDS_THE_SESSION.search(found.ok().path)
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_is_asked_the_answer_is_one_of_those_described(name: str, uow: UnitOfWork) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=False,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[name].as_strategy(), aimed=st.sampled_from([True, True, False]))
    def ask(case: schemathesis.Case, aimed: bool) -> None:
        if aimed:
            uow.aim(case)
        case.call_and_validate(base_url=uow.url, headers=uow.caller, checks=CHECKS)

    ask()
