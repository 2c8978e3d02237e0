"""The routes of backups, of their settings, and of the switch of all outbound traffic."""

from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from api.http.call import Call, Reply
from api.http.download import Download
from api.http.ids import missing, resolve
from api.http.problem import encoded
from api.pipeline.pipeline import decide, request_of
from api.pipeline.readmission import streaming
from api.pipeline.routes import AnyRoute, One, Other, Parameters, Route, activity_of, resource
from api.routes.admin import rfc3339
from projections.backups import BackupRow, BackupSettingsRow, OutboundRow
from rim_ledger.admin.session import new_token, token_hash
from rim_ledger.delivery.kill_switch import OUTBOUND, Outbound, SwitchOutbound
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.backup import Backup, BackupDownloadOffered
from rim_ledger.system.backup_commands import (
    DeleteBackup,
    StartBackup,
    VerifyBackup,
    end_download,
    find_download,
    offer_download,
)
from rim_ledger.system.backup_settings import SETTINGS, BackupSettings, EditBackupSettings

if TYPE_CHECKING:
    from api.context import Context

BACKUPS, ONE = "/v1/backups", "/v1/backups/{id}"
DOWNLOAD = ONE + "/download"
EDIT = "/v1/backup-settings"
SWITCH = "/v1/outbound"
READ, WRITE, DELETE = ("backups", "read"), ("backups", "write"), ("backups", "delete")
RESTORE: Final = ("backups.restore", "write")


async def offer_backup(context: "Context", call: Call, parameters: Parameters) -> Reply:
    """A link to the file of a backup. It lives five minutes, and is used up when the last byte of
    the file has gone. With RIM_SECRET_KEY the file holds everything."""
    token = new_token(context.environment)
    asked = activity_of("OfferDownload", DOWNLOAD, parameters)

    def work(uow: UnitOfWork) -> tuple[UUID, BackupDownloadOffered]:
        id_ = resolve(uow, Backup, parameters["id"])
        if uow.find(Backup, id_) is None:
            raise missing(Backup)
        return id_, offer_download(id_, token_hash(token), uow)

    receipt, offered = await decide(context, request_of(context, call, asked, RESTORE), work)
    body = {
        "downloadUrl": f"{BACKUPS}/{receipt.id}/download?token={token}",
        "expiresAt": rfc3339(offered.expires_at),
    }
    return Reply(200, encoded(body), [(b"ledger-position", b"%d" % receipt.position)])


async def download_backup(context: "Context", call: Call, parameters: Parameters) -> None:
    """The file of a backup, as it lies in the store: sealed. What broke off goes on with Range,
    while the link lives: for five minutes, or until the last byte went out."""
    (given,) = call.given.get("token", [""])
    token = token_hash(given)

    def look(uow: UnitOfWork) -> Backup:
        found = find_download(resolve(uow, Backup, parameters["id"]), token, uow)
        if call.method == "GET":
            uow.activities.append(activity_of("Download", DOWNLOAD, parameters))
        return found

    backup = await context.ledger.read(look, call.stamp(context.environment))

    def use(uow: UnitOfWork) -> UUID:
        end_download(backup.id, token, uow)
        return backup.id

    file = Download(
        size=backup.size or 0,
        etag=f'"{backup.id}"',
        headers=[
            (b"content-type", b"application/octet-stream"),
            (b"content-disposition", f'attachment; filename="{backup.file}"'.encode()),
        ],
        read=partial(context.places.of(backup).read, backup.file),
        used=lambda: context.ledger.submit(use, call.stamp(context.environment)),
    )
    async with streaming(context, call) as stream:
        await file.answer(call, stream)


_GIVES: Final[dict[str, Any]] = {
    "downloadUrl": {"type": "string"},
    "expiresAt": {"type": "string", "format": "date-time"},
}

ROUTES: list[AnyRoute] = [
    *resource(BACKUPS, BackupRow, "backups"),
    Route("POST", BACKUPS, Backup, StartBackup, WRITE, "Begin a backup"),
    Route("POST", ONE + "/verify", Backup, VerifyBackup, WRITE, "Read it again"),
    Route("DELETE", ONE, Backup, DeleteBackup, DELETE, "Put a backup away"),
    Other(
        "POST",
        DOWNLOAD,
        offer_backup,
        "Ask for a link to the file of a backup",
        RESTORE,
        gives=_GIVES,
    ),
    Other(
        "GET",
        DOWNLOAD,
        download_backup,
        "The file of a backup, for whoever has a link to it",
        public=True,
        answers="application/octet-stream",
        query={"token": {"type": "string"}},
    ),
    One(EDIT, BackupSettingsRow, READ, "When and where backups are made"),
    Route(
        "PATCH",
        EDIT,
        BackupSettings,
        EditBackupSettings,
        WRITE,
        "Change when and where backups are made",
        lambda _: SETTINGS,
    ),
    One(SWITCH, OutboundRow, READ, "Whether anything leaves the house"),
    Route(
        "POST",
        SWITCH,
        Outbound,
        SwitchOutbound,
        RESTORE,
        "Stop all that leaves the house, or let it go again",
        lambda _: OUTBOUND,
    ),
]
