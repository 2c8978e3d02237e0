"""Fees out of the airtime and VAT through HTTP: rows, transaction, figures, the journal."""

from decimal import Decimal

import psycopg

from tests.api.conftest import running


async def test_an_upfront_fee_is_seen_everywhere(database: str) -> None:
    async with running(database) as admin:
        officer, user = await admin.take_on_superadmin("officer"), await admin.user()
        await admin.ask("PUT", "/v1/system-config/lending/vatRate", {"value": 7.5})
        wish = {"userId": user["userId"], "amount": 100, "network": "MTN"}
        terms = {"interestRate": 15.36, "feeMode": "upfront"}
        asked = await admin.post("/v1/loans", wish | terms)
        assert asked.status_code == 201, asked.text
        path = f"/v1/loans/{asked.json()['id']}"
        for step in ("approve", "disburse"):
            done = await officer.post(f"{path}/{step}")
            assert done.status_code == 200, done.text
        row = (await admin.get(path, headers=await admin.caught_up())).json()
        assert (row["feeMode"], row["upfrontFee"], row["vat"]) == ("upfront", 15.36, 1.07)
        assert (row["amountDue"], row["outstandingAmount"]) == (100, 100)
        found = await admin.get("/v1/transactions?type=airtime")
        (sent,) = found.json()["items"]
        assert sent["amount"] == 84.64
        assert sent["metadata"] == {"originalAmount": 100, "fee": 15.36}
        assert '"originalAmount":100.00' in found.text.replace(" ", "")

        told = (await admin.get(f"{path}/explain")).json()["figures"]
        assert [(each["event"], each["to"]) for each in told["vat"]["events"]] == [
            ("LoanRequested", 0),
            ("LoanDisbursed", 1.07),
        ]
        assert told["upfrontFee"]["value"] == 15.36
        assert told["vat"]["events"][-1]["because"]["vatRate"] == "7.5"
        accounts = (await admin.get("/v1/trial-balance")).json()["accounts"]
        balances = {each["account"]: each["balance"] for each in accounts}
        assert balances == {"1100.MTN": -84.64, "1200.MTN": 100, "2300": -1.07, "4100": -14.29}

        whole = wish | {"interestRate": 100, "feeMode": "upfront"}
        nothing = await admin.post("/v1/loans", whole)
        assert (nothing.status_code, nothing.json()["code"]) == (409, "fee-exceeds-amount")
        odd = await admin.post("/v1/loans", wish | {"feeMode": "later"})
        assert odd.status_code == 422
    with psycopg.connect(database) as connection:
        (sent,) = connection.execute("SELECT amount FROM ledger.simulated_top_ups").fetchall()
    assert sent == (Decimal("84.64"),)
