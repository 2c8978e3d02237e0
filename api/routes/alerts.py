"""The routes of alerts."""

from api.pipeline.routes import AnyRoute, Route, resource
from projections.alerts import SystemAlertRow
from rim_ledger.notifications.alert import SystemAlert
from rim_ledger.notifications.alert_commands import (
    AcknowledgeAlert,
    ArchiveAlert,
    CreateAlert,
    DisableAlert,
    EnableAlert,
    UpdateAlert,
)

ALL, ONE = "/v1/system-alerts", "/v1/system-alerts/{id}"
WRITE, DELETE = ("alerts", "write"), ("alerts", "delete")

ROUTES: list[AnyRoute] = [
    *resource(ALL, SystemAlertRow, "alerts"),
    Route("POST", ALL, SystemAlert, CreateAlert, WRITE, "Watch a value"),
    Route("PATCH", ONE, SystemAlert, UpdateAlert, WRITE, "Change an alert"),
    Route("POST", ONE + "/enable", SystemAlert, EnableAlert, WRITE, "Watch again"),
    Route("POST", ONE + "/disable", SystemAlert, DisableAlert, WRITE, "Watch no more"),
    Route("POST", ONE + "/acknowledge", SystemAlert, AcknowledgeAlert, WRITE, "Look after it"),
    Route("DELETE", ONE, SystemAlert, ArchiveAlert, DELETE, "Archive"),
]
