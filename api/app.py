"""The HTTP service as a FastAPI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from api.catalogue import ROUTERS, ROUTES, TABLE
from api.config.backup_files import places
from api.config.database import open_vault
from api.config.delivery import providers
from api.config.settings import Settings
from api.context import Context
from api.description.document import complete
from api.http.rate import Rates
from api.pipeline.background import begin
from api.pipeline.dispatcher import ASSETS, DOCS, OPENAPI, Dispatcher
from api.pipeline.endpoint import Unexpected, as_problem
from api.pipeline.list_statement import BY_ROWS
from api.pipeline.metrics import Metrics
from api.pipeline.position import READ_TIMEOUT_SECONDS, LogPosition, ReadPosition
from api.pipeline.route_index import Table
from api.pipeline.security_headers import Origins, SecurityHeaders
from api.routes.export_store import ExportStore
from rim_ledger.admin.challenge import Challenges
from rim_ledger.admin.login_throttle import LoginThrottle
from rim_ledger.admin.second_factor import SecondFactor
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.customers.phone_code import PhoneCodes
from rim_ledger.delivery.providers import Sender
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.postgres.pool import Pool
from rim_ledger.storage import Storage
from rim_ledger.vault.erasure_register import ErasureRegister
from rim_ledger.vault.key_ring import Purpose
from rim_ledger.version import VERSION

LICENSE = {"name": "Proprietary", "identifier": "LicenseRef-Proprietary"}

READERS_MAX: Final = 8


class Api(FastAPI):
    """The routers of every slice, with an index of their routes. The lifespan opens and closes the
    ledger and the read tables."""

    def __init__(self, settings: Settings) -> None:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with open_context(settings, TABLE) as context:
                app.state.context = context
                yield

        super().__init__(
            title="RIM Ledger",
            version=VERSION,
            servers=[{"url": settings.public_url or "/"}],
            license_info=LICENSE,
            separate_input_output_schemas=False,
            telemetry={"tracing": False, "metrics": False, "logs": False},
            docs_url=None,
            redoc_url=None,
            lifespan=lifespan,
            exception_handlers=dict.fromkeys((Refused, Unavailable, Unexpected), as_problem),
        )
        self.state.settings = settings
        for router in ROUTERS:
            self.include_router(router)

    def build_middleware_stack(self) -> ASGIApp:
        """Security headers, CORS and dispatcher, in this order. FastAPI's own layers wrap only the
        description, since the dispatcher calls the `app` of a route directly."""
        settings: Settings = self.state.settings
        app: ASGIApp = Dispatcher(super().build_middleware_stack(), self)
        if settings.cors_origins:
            app = Origins(app, settings.cors_origins)
        return SecurityHeaders(
            app, production=settings.production, docs=str(self._page().body, "utf-8")
        )

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi(), ROUTES)
        return self.openapi_schema

    def setup(self) -> None:
        """Add the OpenAPI document and its page; the page's scripts are served from here."""
        super().setup()
        self.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))
        self.add_route(DOCS, lambda _: self._page(), include_in_schema=False)

    def _page(self) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=OPENAPI,
            title=self.title,
            swagger_js_url=f"{ASSETS}swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}favicon.png",
        )


@asynccontextmanager
async def open_context(settings: Settings, table: Table) -> AsyncIterator[Context]:
    """Open all parts of the context, and close them in order."""
    environment = SystemEnvironment()
    url = settings.database_url
    assert url, "the database was found or started before"
    vault = open_vault(settings, url)
    pool = Pool(
        url,
        min_size=1,
        max_size=READERS_MAX,
        timeout=READ_TIMEOUT_SECONDS,
        autocommit=True,
        settings=BY_ROWS,
    )
    async with (
        Ledger(
            url, ENTITY_OF, vault, environment, ErasureRegister(settings.home, environment).note
        ) as ledger,
        LoginThrottle(url, vault, environment) as attempts,
        LoginThrottle(url, vault, environment, scope="borrowers") as at_codes,
        pool,
        ReadPosition(url) as tables,
        LogPosition(url) as log_position,
    ):
        through = providers(settings, url, ledger, environment)
        dispatch, sender = (
            Dispatch(url, ledger, through, environment),
            Sender(through, ledger),
        )
        challenges = Challenges(pool, ledger.cache.event_mac)
        phone_codes = PhoneCodes(ledger, at_codes, challenges, sender, environment)
        context = Context(
            url=url,
            ledger=ledger,
            attempts=attempts,
            vault=vault,
            environment=environment,
            pool=pool,
            tables=tables,
            log=log_position,
            settings=settings,
            request_key=vault.key(Purpose.REQUEST),
            cursor_key=vault.key(Purpose.CURSOR),
            metrics=Metrics(),
            rates=Rates(settings.rate_limit),
            table=table,
            dispatch=dispatch,
            storage=Storage(settings.storage_url),
            sender=sender,
            second_factor=SecondFactor(ledger, attempts, challenges, sender, environment),
            places=places(settings),
            phone_codes=phone_codes,
        )
        begin(context, ExportStore(context).sweep_for_ever())
        yield context
        for work in [*context.works]:
            work.cancel()
        await asyncio.gather(*context.works, return_exceptions=True)
        await asyncio.gather(dispatch.drain(), phone_codes.drain())
        await asyncio.gather(*context.notes)
