"""The HTTP service as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from api.catalogue import ROUTES, TABLE
from api.desk import open_desk
from api.front import Front
from api.openapi import document
from api.settings import Settings


class Api(FastAPI):
    """FastAPI for what describes the API; the routes themselves are data, answered in front."""

    def build_middleware_stack(self) -> ASGIApp:
        return Front(super().build_middleware_stack(), self.state)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(ROUTES)
        return self.openapi_schema


def create_app(settings: Settings) -> FastAPI:
    """The application. Its lifespan opens the ledger and the read tables, and closes them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_desk(settings, TABLE) as desk:
            app.state.desk = desk
            yield

    return Api(title="RIM Ledger", version="1", lifespan=lifespan, redoc_url=None)
