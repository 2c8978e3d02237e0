"""The routes of backups, of their settings, and of the switch of all outbound traffic."""

from functools import partial
from typing import Final
from uuid import UUID

from api.context import Context
from api.description.components import TEXT, TIME
from api.http.call import Call, Reply, at_position
from api.http.download import Download
from api.http.ids import missing, resolve
from api.pipeline.pipeline import request_of
from api.pipeline.readmission import streaming
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, One, Resource, activity_of, operation
from projections.backups import BackupRow, BackupSettingsRow, OutboundRow
from rim_ledger.admin.session import new_token, token_hash
from rim_ledger.delivery.kill_switch import OUTBOUND, SwitchOutbound
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
from rim_ledger.system.backup_settings import SETTINGS, EditBackupSettings

BACKUPS, DOWNLOAD = "/v1/backups", "/v1/backups/{id}/download"
EDIT, SWITCH = "/v1/backup-settings", "/v1/outbound"
READ: Final = ("backups", "read")
RESTORE: Final = "backups.restore"


@operation(
    f"POST {DOWNLOAD}",
    "Ask for a link to the file of a backup",
    (RESTORE, "write"),
    gives={"downloadUrl": TEXT, "expiresAt": TIME},
)
async def offer_backup(context: Context, call: Call, _: Rights) -> Reply:
    """A link to the file of a backup. It lives five minutes, and is used up when the last byte of
    the file has gone. With RIM_SECRET_KEY the file holds everything."""
    token = new_token(context.environment)
    asked = activity_of("OfferDownload", DOWNLOAD, call.path_params)

    def work(uow: UnitOfWork) -> tuple[UUID, BackupDownloadOffered]:
        id_ = resolve(uow, Backup, call.path_params["id"])
        if uow.find(Backup, id_) is None:
            raise missing(Backup)
        return id_, offer_download(id_, token_hash(token), uow)

    request = request_of(context, call, asked, (RESTORE, "write"))
    receipt, offered = await context.ledger.decide(work, *request.terms)
    body = {
        "downloadUrl": f"{BACKUPS}/{receipt.id}/download?token={token}",
        "expiresAt": offered.expires_at,
    }
    return Reply(200, body, [at_position(receipt.position)])


@operation(
    f"GET {DOWNLOAD}",
    "The file of a backup, for whoever has a link to it",
    public=True,
    answers="application/octet-stream",
    query={"token": TEXT},
)
async def download_backup(context: Context, call: Call, _: Rights) -> None:
    """The file of a backup, as it lies in the store: sealed. What broke off goes on with Range,
    while the link lives: for five minutes, or until the last byte went out."""
    (given,) = call.query_params.get("token", [""])
    token = token_hash(given)

    def look(uow: UnitOfWork) -> Backup:
        found = find_download(resolve(uow, Backup, call.path_params["id"]), token, uow)
        if call.method == "GET":
            uow.activities.append(activity_of("Download", DOWNLOAD, call.path_params))
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


of_backups = Resource(BACKUPS, BackupRow, "backups")
of_settings = Resource(EDIT, BackupSettingsRow, "backups", always={"stream": lambda _: SETTINGS})
of_outbound = Resource(SWITCH, OutboundRow, RESTORE, always={"stream": lambda _: OUTBOUND})

ROUTES: list[AnyRoute] = [
    *of_backups.reads,
    of_backups("POST", StartBackup, "Begin a backup"),
    of_backups("POST /{id}/verify", VerifyBackup, "Read it again"),
    of_backups("DELETE /{id}", DeleteBackup, "Put a backup away"),
    offer_backup,
    download_backup,
    One(EDIT, BackupSettingsRow, READ, "When and where backups are made"),
    of_settings("PATCH", EditBackupSettings, "Change when and where backups are made"),
    One(SWITCH, OutboundRow, READ, "Whether anything leaves the house"),
    of_outbound("POST", SwitchOutbound, "Stop all that leaves the house, or let it go again"),
]
