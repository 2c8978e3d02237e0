"""The routes of alerts."""

from api.pipeline.routes import AnyRoute, Resource
from projections.alerts import SystemAlertRow
from rim_ledger.notifications import alert_commands as alerts

of_alerts = Resource("/v1/system-alerts", SystemAlertRow, "alerts")

ROUTES: list[AnyRoute] = [
    *of_alerts.reads,
    of_alerts("POST", alerts.CreateAlert, "Watch a value"),
    of_alerts("PATCH /{id}", alerts.UpdateAlert, "Change an alert"),
    of_alerts("POST /{id}/enable", alerts.EnableAlert, "Watch again"),
    of_alerts("POST /{id}/disable", alerts.DisableAlert, "Watch no more"),
    of_alerts("POST /{id}/acknowledge", alerts.AcknowledgeAlert, "Look after it"),
    of_alerts("DELETE /{id}", alerts.ArchiveAlert, "Archive"),
]
