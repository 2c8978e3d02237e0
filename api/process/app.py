"""The HTTP service as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from api.catalogue import ROUTES, TABLE
from api.installation.settings import Settings
from api.openapi import document
from api.road.desk import open_desk
from api.road.edge import Edge
from api.road.front import ASSETS, DOCS, OPENAPI, Front


class Api(FastAPI):
    """FastAPI for what describes the API; the routes themselves are data, answered in front."""

    @cached_property
    def edge(self) -> Edge:
        page = str(self._page().body, "utf-8")
        front = Front(super().__call__, self.state)
        return Edge(front, self.state.settings, page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.edge(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(ROUTES)
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


def create_app(settings: Settings) -> FastAPI:
    """The application. Its lifespan opens the ledger and the read tables, and closes them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_desk(settings, TABLE) as desk:
            app.state.desk = desk
            yield

    app = Api(title="RIM Ledger", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    return app
