"""The HTTP service as a FastAPI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from api.catalogue import ROUTERS, ROUTES, TABLE
from api.config.settings import Settings
from api.context import open_context
from api.description.document import complete
from api.pipeline.dispatcher import ASSETS, DOCS, OPENAPI, Front
from api.pipeline.endpoint import Unexpected, as_problem
from api.pipeline.security_headers import Edge, Origins
from rim_ledger.engine.refusals import Refused, Unavailable

LICENSE = {"name": "Proprietary", "identifier": "LicenseRef-Proprietary"}


class Api(FastAPI):
    """Routers of every slice, whose routes are found by their table. Its lifespan opens the ledger
    and the read tables, and closes them."""

    def __init__(self, settings: Settings) -> None:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with open_context(settings, TABLE) as context:
                app.state.context = context
                yield

        super().__init__(
            title="RIM Ledger",
            version="1",
            servers=[{"url": settings.public_url or "/"}],
            license_info=LICENSE,
            separate_input_output_schemas=False,
            docs_url=None,
            redoc_url=None,
            lifespan=lifespan,
            exception_handlers=dict.fromkeys((Refused, Unavailable, Unexpected), as_problem),
        )
        self.state.settings = settings
        for router in ROUTERS:
            self.include_router(router)

    def build_middleware_stack(self) -> ASGIApp:
        """Edge, CORS and front, in this order; FastAPI's own layers only around what describes the
        API, as requests to our routes go from the front to their application directly."""
        settings: Settings = self.state.settings
        app: ASGIApp = Front(super().build_middleware_stack(), self)
        if settings.cors_origins:
            app = Origins(app, settings.cors_origins)
        return Edge(app, production=settings.production, docs=str(self._page().body, "utf-8"))

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi(), ROUTES)
        return self.openapi_schema

    def setup(self) -> None:
        """The description and its page, whose files are our own: nothing is fetched elsewhere."""
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
