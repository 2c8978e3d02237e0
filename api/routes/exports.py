"""The routes of exports: the log as a Parquet file, made in the background and fetched in parts."""

from typing import Any, Final
from uuid import UUID

from api.context import Context
from api.description.components import COUNT, FLAG, ID, NUMBER, TEXT, TIME, or_null, several, shape
from api.http.call import Call, Reply
from api.http.download import Download
from api.http.ids import missing
from api.pipeline.background import begin
from api.pipeline.commands import require_no_fields
from api.pipeline.pipeline import admitted
from api.pipeline.readmission import admit_again, streaming
from api.pipeline.rights import SEES_PERSONS, Rights
from api.pipeline.routes import AnyRoute, activity_of, operation
from api.routes.event_log import EventReader, read_question
from api.routes.events import QUERY, READ
from api.routes.export_making import make
from api.routes.export_store import Export, ExportStore
from rim_ledger.engine.refusals import Forbidden, Refused
from rim_ledger.values import UUID_TEXT
from rim_ledger.vault.key_ring import KEY

EXPORTS, ONE = "/v1/exports", "/v1/exports/{id}"
FILE: Final = ONE + "/file"
PARQUET: Final = b"application/vnd.apache.parquet"
EXPORT: Final = shape(
    "Export",
    {
        "id": ID,
        "status": {"type": "string", "enum": ["in_progress", "success", "failed"]},
        "masked": FLAG,
        "position": COUNT,
        "upto": COUNT,
        "rows": COUNT,
        "size": or_null(NUMBER),
        "sha256": or_null(TEXT),
        "failureReason": or_null(TEXT),
        "createdAt": TIME,
        "completedAt": or_null(TIME),
        "expiresAt": TIME,
        "downloadUrl": or_null(TEXT),
    },
)


@operation(
    f"POST {EXPORTS}",
    "Begin an export of the log",
    READ,
    exports=True,
    gives=EXPORT,
    status=202,
    query=QUERY,
)
async def begin_export(context: Context, call: Call, rights: Rights) -> Reply:
    """Begin to make a Parquet file of the log, by the filters of `/v1/events`.

    What the caller may not read is left out. Without users.pii the words about persons are hidden
    and `body` is null. The caller fetches the file once it is made; it is kept for 24 hours.
    """
    question = await read_question(context, call, live=False, paged=False)
    await require_no_fields(call)
    id_ = context.environment.new_id()
    asked = activity_of("Export", EXPORTS, {"id": str(id_)})
    reader = EventReader(context, call, rights, asked)
    export = Export(
        id=id_,
        owner=rights.id,
        persons=rights.sees_persons,
        entities=sorted(rights.reads),
        secret=context.vault.wrap_secret(id_, "export", context.environment.random(KEY).hex()),
        upto=question.upto,
        position=question.after,
        created_at=context.environment.now(),
    )
    store = ExportStore(context)
    await store.sweep()
    for each in await store.of(export.owner):
        if each.failure:
            await store.drop(each.id)
    await store.begin(export)
    begin(context, make(export, reader.narrowed(question), reader))
    headers = [(b"location", f"{EXPORTS}/{id_}".encode())]
    return Reply(202, _shown(export), headers)


@operation(f"GET {EXPORTS}", "One's own exports", READ, gives={"items": several(EXPORT)})
async def list_exports(context: Context, _: Call, rights: Rights) -> Reply:
    """The caller's exports, the newest first: how far each is, and where its file is."""
    store = ExportStore(context)
    await store.sweep()
    items = [_shown(each) for each in await store.of(rights.id)]
    return Reply(200, {"items": items})


@operation(f"GET {ONE}", "How far an export is", READ, gives=EXPORT)
async def get_export(context: Context, call: Call, rights: Rights) -> Reply:
    """How far an export of the caller is."""
    return Reply(200, _shown(await _find(context, call, rights)))


@operation(f"DELETE {ONE}", "Let go of an export", READ, gives=EXPORT)
async def delete_export(context: Context, call: Call, rights: Rights) -> Reply:
    """Let go of an export and its file, also while it is made."""
    export = await _find(context, call, rights)
    await ExportStore(context).drop(export.id)
    return Reply(200, _shown(export))


@operation(f"GET {FILE}", "The file of an export", READ, exports=True, answers=PARQUET.decode())
async def download_export(context: Context, call: Call, rights: Rights) -> None:
    """The file of an export, or a Range of it, for whoever asked for it and may still read all that
    is in it. What broke off goes on with Range, as long as the export is kept."""
    export = await _find(context, call, rights)
    if export.size is None:
        words = f"The export is not there: {export.failure or 'it is being made.'}"
        raise Refused("export-not-ready", words)
    needs = [READ, SEES_PERSONS] if export.persons else [READ]
    asked = activity_of("Export", FILE, call.path_params)
    _require_reads(await admitted(context, call, *needs, activity=asked), export)

    async def admit() -> None:
        _require_reads(await admit_again(context, call, *needs, activity=asked), export)
        if await ExportStore(context).find(export.owner, export.id) is None:
            raise missing(Export)

    file = Download(
        size=export.size,
        etag=f'"{export.sha256}"',
        headers=[
            (b"content-type", PARQUET),
            (b"content-disposition", f'attachment; filename="{export.id}.parquet"'.encode()),
        ],
        read=lambda first, end: ExportStore(context).read(export, first, end),
        admit=admit,
    )
    async with streaming(context, call) as stream:
        await file.answer(call, stream)


async def _find(context: Context, call: Call, rights: Rights) -> Export:
    """An export of the caller. Raises NotFound for any other."""
    text = call.path_params["id"]
    id_ = UUID(text) if UUID_TEXT.fullmatch(text) else None
    found = await ExportStore(context).find(rights.id, id_) if id_ else None
    if found is None:
        raise missing(Export)
    return found


def _require_reads(rights: Rights, export: Export) -> None:
    if lacking := sorted(set(export.entities) - rights.reads):
        words = f"The file may hold events that you may not read any more: {', '.join(lacking)}."
        raise Forbidden("forbidden", words)


def _shown(export: Export) -> dict[str, Any]:
    return {
        "id": export.id,
        "status": export.status,
        "masked": not export.persons,
        "position": export.position,
        "upto": export.upto,
        "rows": export.rows,
        "size": export.size,
        "sha256": export.sha256,
        "failureReason": export.failure,
        "createdAt": export.created_at,
        "completedAt": export.completed_at,
        "expiresAt": export.expires_at,
        "downloadUrl": f"{EXPORTS}/{export.id}/file" if export.size is not None else None,
    }


ROUTES: list[AnyRoute] = [
    list_exports,
    begin_export,
    get_export,
    delete_export,
    download_export,
]
