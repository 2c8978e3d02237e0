"""The routes of loan requests that were refused."""

from api.pipeline.routes import AnyRoute, resource
from projections.refused_requests import RefusedRequestRow

ROUTES: list[AnyRoute] = [*resource("/v1/refused-requests", RefusedRequestRow, "loans")]
