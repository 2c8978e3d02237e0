"""What every answer tells browsers, and which of their pages may ask."""

import base64
import hashlib
import re

import httpx

from api.app import Api
from api.config.settings import Settings
from api.pipeline.security_headers import CLOSED, HSTS
from tests.api.conftest import SECRET, Client

DESK = "https://desk.example.com"


async def test_every_answer_forbids_browsers_what_nobody_needs(admin: Client) -> None:
    for path, status in [
        ("/v1/users", 200),
        ("/v1/users/nobody", 404),
        ("/v1/nothing", 404),
        ("/healthz", 200),
        ("/openapi.json", 200),
        ("/openapi.json?version=2", 422),
        ("/docs/assets/swagger-ui.css", 200),
        ("/docs/assets/none", 404),
    ]:
        answer = await admin.get(path)
        said = answer.headers
        assert answer.status_code == status, path
        assert said["content-security-policy"] == CLOSED.decode(), path
        assert said["x-content-type-options"] == "nosniff", path
        assert said["referrer-policy"] == "no-referrer", path
        assert said["cross-origin-resource-policy"] == "same-origin", path
        assert "strict-transport-security" not in said, "the development server speaks no TLS"
        assert "server" not in said, path
        assert "access-control-allow-origin" not in said, path
    bulk = {"content-type": "application/x-ndjson"}
    answer = await admin.post("/v1/bulk", content=b"{}", headers=bulk)
    assert answer.headers["content-security-policy"] == CLOSED.decode(), "streams too"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_page_of_the_documentation_loads_our_own_files_and_runs_no_other_script(
    admin: Client,
) -> None:
    page = await admin.http.get("/docs")
    assert page.status_code == 200
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert len(inline) == 1
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) >= 3
    for file in files:
        assert file.startswith("/docs/assets/"), "nothing is fetched from elsewhere"
        assert (await admin.http.get(file)).status_code == 200


async def _ask(settings: Settings, method: str, path: str, **headers: str) -> httpx.Response:
    """An answer of what needs no ledger."""
    app = Api(settings)
    app.openapi_schema = {"openapi": "3.1.0"}  # To make the whole takes a second.
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://rim.test") as http:
        return await http.request(method, path, headers=headers)


async def test_in_production_browsers_are_told_to_come_by_tls_only() -> None:
    settings = Settings(secret_key=SECRET, env="production")
    answer = await _ask(settings, "GET", "/openapi.json")
    assert answer.headers["strict-transport-security"] == HSTS[1].decode()


async def test_no_page_of_another_origin_may_ask_unless_it_is_named() -> None:
    async def ask(method: str, origin: str, *allowed: str, **headers: str) -> httpx.Response:
        settings = Settings(secret_key=SECRET, cors_origins=allowed)
        return await _ask(settings, method, "/openapi.json", origin=origin, **headers)

    wish = {"access-control-request-method": "PATCH"}
    wish["access-control-request-headers"] = "authorization,if-match"
    assert "access-control-allow-origin" not in (await ask("GET", DESK)).headers
    assert (
        "access-control-allow-origin"
        not in (await ask("GET", "https://evil.example", DESK)).headers
    )
    asked = await ask("OPTIONS", DESK, DESK, **wish)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == DESK
    assert "PATCH" in asked.headers["access-control-allow-methods"]
    assert asked.headers["content-security-policy"] == CLOSED.decode()
    told = (await ask("GET", DESK, DESK)).headers
    assert told["access-control-allow-origin"] == DESK
    for name in ("RateLimit", "Content-Disposition", "ETag", "Ledger-Position"):
        assert name in told["access-control-expose-headers"]
    assert told["access-control-allow-origin"] == DESK
    for named, origin in (
        (f"{DESK}:443", DESK),
        (DESK, f"{DESK}:443"),
        (DESK.replace("desk", "DESK"), DESK),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
    ):
        assert (await ask("GET", origin, named)).headers["access-control-allow-origin"] == origin
    for named, origin in (
        (DESK, f"{DESK}:80"),
        (DESK, f"{DESK}:8443"),
        (DESK.replace("https", "http"), DESK),
        (f"{DESK}:80", DESK),
        (DESK, "null"),
    ):
        assert "access-control-allow-origin" not in (await ask("GET", origin, named)).headers
    assert "access-control-allow-credentials" not in told, "a token is sent, never a cookie"
    assert (await ask("OPTIONS", "https://evil.example", DESK, **wish)).status_code == 400
