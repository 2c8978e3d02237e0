import json

from tests.api.conftest import Client, Tell


def test_x(tell: Tell) -> None:
    async def story(admin: Client) -> None:
        user = await admin.user(1)
        a = await admin.post(
            "/v1/loans?dryRun=true", {"userId": user["userId"], "amount": 1000, "network": "MTN"}
        )
        print(json.dumps(a.json(), indent=1)[:9000])
        b = await admin.post(
            "/v1/users?dryRun=true",
            {"phone": "08031112222", "email": "x@example.com", "name": "Bob", "creditLimit": 5},
        )
        print(json.dumps(b.json(), indent=1)[:6000])
        log = await admin.get("/v1/admin-activity-logs?limit=5")
        print([(x["action"], x["details"]) for x in log.json()["items"]])
        assert a.status_code == 200

    tell(story)
