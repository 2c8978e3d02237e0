"""Templates over HTTP: kept, looked at with values, tried, and put away."""

from typing import Any

import pytest

from tests.api.conftest import Client

EMAIL = {
    "name": "welcome",
    "subject": "Welcome, {{name}}",
    "body": "<p>Dear {{name}}</p>",
    "variables": ["name"],
    "type": "notification",
}
SMS = {"name": "due", "message": "{{name}} owes ₦5", "variables": ["name"]}
EMAILS, TEXTS = "/v1/email-templates", "/v1/sms-templates"


async def kept(client: Client, path: str, form: dict[str, Any]) -> str:
    made = await client.post(path, form)
    assert made.status_code == 201, made.text
    return f"{path}/{made.json()['id']}"


async def test_a_template_is_a_row_with_every_field(admin: Client) -> None:
    email, sms = await kept(admin, EMAILS, EMAIL), await kept(admin, TEXTS, SMS)
    row = (await admin.get(email, headers=await admin.caught_up())).json()
    assert EMAIL.items() <= row.items()
    assert (row["enabled"], row["archived"]) == (True, False)
    row = (await admin.get(sms)).json()
    cost = {"encoding": "UCS-2", "units": 16, "segments": 1, "offending": ["₦"]}
    assert (SMS | cost).items() <= row.items()
    listed = (await admin.get(f"{EMAILS}?type=notification&enabled=true")).json()["items"]
    assert [each["name"] for each in listed] == ["welcome"]
    assert not (await admin.get(f"{TEXTS}?enabled=false")).json()["items"]
    named = (await admin.get(f"{TEXTS}?name=due")).json()["items"]
    assert [each["id"] for each in named] == [row["id"]]


@pytest.mark.unfollowed
async def test_a_preview_shows_what_would_be_sent_and_what_it_costs(admin: Client) -> None:
    email, sms = await kept(admin, EMAILS, EMAIL), await kept(admin, TEXTS, SMS)
    values = {"values": {"name": "<Ada>\r\nBcc: x"}}
    seen = await admin.post(f"{email}/preview", values)
    assert seen.json() == {
        "subject": "Welcome, <Ada> Bcc: x",
        "body": "<p>Dear &lt;Ada&gt;\r\nBcc: x</p>",
        "warnings": [],
    }
    seen = await admin.post(f"{sms}/preview", {"values": {"name": "a" * 63}})
    told = seen.json()
    assert [told[each] for each in ("encoding", "units", "segments")] == ["UCS-2", 71, 2]
    assert "₦" in told["warnings"][0]
    assert "2 segments" in told["warnings"][1]
    missing = await admin.post(f"{sms}/preview", {})
    assert (missing.status_code, missing.json()["code"]) == (422, "missing-value")
    assert admin.outbox() == []


@pytest.mark.unfollowed
async def test_a_test_send_goes_once_under_its_key_and_not_from_a_disabled_template(
    admin: Client,
) -> None:
    email, sms = await kept(admin, EMAILS, EMAIL), await kept(admin, TEXTS, SMS)
    wish = {"to": "ada@example.com", "values": {"name": "Ada & Co"}}
    for replayed in (None, "true"):
        sent = await admin.post(f"{email}/test-send", wish, headers={"Idempotency-Key": "1"})
        assert (sent.status_code, sent.headers.get("Idempotency-Replayed")) == (200, replayed)
    sent = await admin.post(f"{sms}/test-send", {"to": "08031234567", "values": {"name": "A"}})
    assert sent.status_code == 200, sent.text
    first, second = admin.outbox()
    assert (first["to"], first["body"]) == ("ada@example.com", "<p>Dear Ada &amp; Co</p>")
    assert (second["channel"], second["body"]) == ("sms", "A owes ₦5")
    await admin.post(f"{sms}/disable")
    refused = await admin.post(f"{sms}/test-send", {"to": "08031234567", "values": {}})
    assert (refused.status_code, refused.json()["code"]) == (409, "template-disabled")
    seen = await admin.post(f"{sms}/preview", {"values": {"name": "A"}})
    assert any("disabled" in each for each in seen.json()["warnings"])
    await admin.post(f"{sms}/enable")
    changed = await admin.ask("PATCH", sms, {"message": "{{name}}!"})
    assert changed.status_code == 200
    assert (await admin.ask("DELETE", sms)).status_code == 200
    again = await admin.post(f"{sms}/test-send", {"to": "08031234567", "values": {"name": "A"}})
    assert again.json()["code"] == "template-disabled"
    assert "put away" in again.json()["detail"]
    seen = await admin.post(f"{sms}/preview", {"values": {"name": "A"}})
    assert any("put away" in each for each in seen.json()["warnings"])
    assert len(admin.outbox()) == 2
    await kept(admin, TEXTS, SMS)


@pytest.mark.unfollowed
async def test_a_test_goes_to_oneself_or_whom_the_installation_names_and_leaves_a_hash(
    admin: Client,
) -> None:
    email, sms = await kept(admin, EMAILS, EMAIL), await kept(admin, TEXTS, SMS)
    clerk = await admin.take_on("mara", {"resource": "templates", "actions": ["read", "write"]})
    for path, others in ((email, "bola@example.com"), (sms, "+2348035550000")):
        wish = {"to": others, "values": {"name": "A"}}
        refused = await clerk.post(f"{path}/test-send", wish)
        assert (refused.status_code, refused.json()["code"]) == (403, "not-own-contact")
        assert others not in refused.text
    assert admin.outbox() == []
    for address in ("Mara@example.com", "ada@example.com"):
        wish = {"to": address, "values": {"name": "A"}}
        sent = await clerk.post(f"{email}/test-send", wish)
        assert sent.status_code == 200, sent.text
    logs = await admin.get("/v1/admin-activity-logs?action=TryEmail")
    told = [each["details"] for each in logs.json()["items"]]
    assert [each["outcome"] for each in told] == ["done", "done", "not-own-contact"]
    assert len({each["recipientHash"] for each in told}) == 3
    assert "example.com" not in logs.text


@pytest.mark.unfollowed
async def test_whoever_reads_templates_looks_at_them_and_sends_nothing(admin: Client) -> None:
    sms = await kept(admin, TEXTS, SMS)
    reader = await admin.take_on("rita", {"resource": "templates", "actions": ["read"]})
    assert (await reader.post(f"{sms}/preview", {"values": {"name": "A"}})).status_code == 200
    wish = {"to": "08031234567", "values": {"name": "A"}}
    assert (await reader.post(f"{sms}/test-send", wish)).status_code == 403
    assert (await reader.post(TEXTS, SMS)).status_code == 403
    gone = await admin.post(f"{TEXTS}/01900000-0000-7000-8000-000000000009/test-send", wish)
    assert gone.status_code == 404
    assert admin.outbox() == []
