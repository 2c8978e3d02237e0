"""The routes of alerts."""

from api.pipeline.routes import AnyRoute, commands, resource
from projections.alerts import SystemAlertRow
from rim_ledger.notifications import alert_commands as alerts
from rim_ledger.notifications.alert import SystemAlert

ALL = "/v1/system-alerts"

of_alerts = commands(ALL, SystemAlert, "alerts")

ROUTES: list[AnyRoute] = [
    *resource(ALL, SystemAlertRow, "alerts"),
    of_alerts("POST", alerts.CreateAlert, "Watch a value"),
    of_alerts("PATCH /{id}", alerts.UpdateAlert, "Change an alert"),
    of_alerts("POST /{id}/enable", alerts.EnableAlert, "Watch again"),
    of_alerts("POST /{id}/disable", alerts.DisableAlert, "Watch no more"),
    of_alerts("POST /{id}/acknowledge", alerts.AcknowledgeAlert, "Look after it"),
    of_alerts("DELETE /{id}", alerts.ArchiveAlert, "Archive"),
]
