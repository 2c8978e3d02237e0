"""Loan products through HTTP: staff's view and the borrower's, and loans on them."""

from tests.api.conftest import Client
from tests.api.routes.borrowers import logged_in

PRODUCTS = "/v1/loan-products"
TERMS = {
    "name": "Two weeks",
    "networks": ["MTN", "Glo"],
    "minAmount": 50,
    "maxAmount": 500,
    "interestRate": 10,
    "repaymentPeriod": 14,
    "feeMode": "upfront",
}


async def test_staff_keep_products_and_lend_on_their_terms(admin: Client) -> None:
    made = await admin.post(PRODUCTS, TERMS)
    assert made.status_code == 201, made.text
    product, path = made.json()["id"], f"{PRODUCTS}/{made.json()['id']}"
    taken = await admin.post(PRODUCTS, TERMS | {"name": "TWO  weeks"})
    assert (taken.status_code, taken.json()["code"]) == (409, "product-name-taken")
    above = await admin.ask("PATCH", path, {"minAmount": 501})
    assert (above.status_code, above.json()["code"]) == (422, "min-above-max")
    cleared = await admin.ask("PATCH", path, {"name": None})
    assert cleared.status_code == 422
    changed = await admin.ask("PATCH", path, {"repaymentPeriod": 7})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    user = await admin.user()
    wish = {"userId": user["userId"], "network": "MTN", "productId": product}
    asked = await admin.post("/v1/loans", wish | {"amount": 100})
    assert asked.status_code == 201, asked.text
    wrong = await admin.post("/v1/loans", wish | {"amount": 501})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "amount-not-in-product")
    gone = await admin.ask("DELETE", path)
    assert gone.status_code == 200, gone.text
    late = await admin.post("/v1/loans", wish | {"amount": 100})
    assert (late.status_code, late.json()["code"]) == (409, "product-archived")
    now = await admin.caught_up()
    row = (await admin.get(f"/v1/loans/{asked.json()['id']}", headers=now)).json()
    assert (row["productId"], row["productVersion"]) == (product, 2)
    assert (row["interestRate"], row["repaymentPeriod"], row["amountDue"]) == (10, 7, 100)
    (listed,) = (await admin.get(f"/v1/loans?productId={product}")).json()["items"]
    assert listed["id"] == asked.json()["id"]
    known = (await admin.get(path)).json()
    assert (known["archived"], known["offered"]) == (True, False)
    assert known["networks"] == ["MTN", "Glo"]
    then = await admin.get(path, params={"asOf": changed.json()["position"] - 1})
    assert (then.json()["repaymentPeriod"], then.json()["archived"]) == (14, False)
    for query, count in (("archived=true", 1), ("offered=true", 0)):
        assert len((await admin.get(f"{PRODUCTS}?{query}")).json()["items"]) == count, query


async def test_a_borrower_sees_and_takes_what_is_offered_to_them(admin: Client) -> None:
    offers = {
        "for all": {"offered": True},
        "hidden": {},
        "for the best": {"offered": True, "minScore": 900},
        "too much": {"offered": True, "minAmount": 100_001, "maxAmount": 100_001},
        "gone": {"offered": True},
    }
    paths = {}
    for name, terms in offers.items():
        made = await admin.post(PRODUCTS, TERMS | terms | {"name": name})
        paths[name] = f"{PRODUCTS}/{made.json()['id']}"
    await admin.ask("DELETE", paths["gone"])
    ada = await logged_in(admin)
    now = await admin.caught_up()
    (seen,) = (await ada.get(PRODUCTS, headers=now)).json()["items"]
    assert seen["name"] == "for all"
    assert not seen.keys() & {"minScore", "offered", "archived"}
    me = (await ada.get("/v1/auth/customer/me")).json()["id"]
    wish = {"userId": me, "network": "MTN", "amount": 100}
    for name, path in paths.items():
        shown = 200 if name == "for all" else 404
        assert (await ada.get(path)).status_code == shown, name
        own = {"productId": path.rsplit("/", 1)[1]}
        asked = await ada.post("/v1/loans", wish | own)
        if name != "for all":
            assert (asked.status_code, asked.json()["code"]) == (422, "unknown-product"), name
            continue
        assert asked.status_code == 201, asked.text
        for terms in ({"interestRate": 1}, {"feeMode": "addon"}, {"repaymentPeriod": 30}):
            assert (await ada.post("/v1/loans", wish | own | terms)).status_code == 403
        loan = (await ada.get("/v1/loans", headers=await admin.caught_up())).json()["items"][0]
        assert (loan["productId"], loan["feeMode"]) == (own["productId"], "upfront")
    made = await ada.post(PRODUCTS, TERMS)
    assert made.status_code in (401, 403)


async def test_products_need_rights_of_their_own(admin: Client) -> None:
    path = f"{PRODUCTS}/{(await admin.post(PRODUCTS, TERMS)).json()['id']}"
    reader = await admin.take_on("reader", {"resource": "loan_products", "actions": ["read"]})
    assert (await reader.get(path, headers=await admin.caught_up())).status_code == 200
    assert (await reader.ask("PATCH", path, {"offered": True})).status_code == 403
    writer = await admin.take_on("writer", {"resource": "loan_products", "actions": ["write"]})
    assert (await writer.ask("PATCH", path, {"offered": True})).status_code == 200
    assert (await writer.ask("DELETE", path)).status_code == 403
    assert (await writer.get(path)).status_code == 403
