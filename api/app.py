"""The HTTP service as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from api.catalogue import ROUTES, TABLE
from api.desk import open_desk
from api.front import Front
from api.openapi import document
from api.settings import Settings


class Api(FastAPI):
    """FastAPI for what describes the API; the routes themselves are data, answered in front."""

    @cached_property
    def front(self) -> Front:
        return Front(super().__call__, self.state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.front(scope, receive, send)

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
