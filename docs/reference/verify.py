#!/usr/bin/env python3
"""Verifies proofs and exports of RIM Ledger offline, with the standard library and `cryptography`.

KEY is a file with the public key of the log, from where you trust it: /v1/checkpoint/key, or
RIM_HOME/checkpoints/*/key. The other files are answers of the API, or the directory that
`rim-ledger export --to` wrote, with those beside it. Says what was proved, or what is wrong and
where, with exit code 1.
"""

import argparse
import gzip
import json
import re
import sys
import zlib
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from heapq import merge
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class NotProved(Exception):
    """Something does not fit; the message says what should."""


def need(condition: bool, words: str) -> None:
    if not condition:
        raise NotProved(f"it is not so that {words}")


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def signed(key: str, note: str) -> list[str]:
    """The lines of a note, if the key signed it, whoever else did so too."""
    need(key.count("+") >= 2, "the key is a verifier key: a name, a hash and a key, parted by +")
    name, _, public = key.strip().split("+", 2)
    raw = b64decode(public)
    need(raw[:1] == b"\x01" and len(raw) == 33, "the key is one of Ed25519")
    key_id = sha256(name.encode() + b"\n" + raw).digest()[:4]
    text, _, signatures = note.rstrip("\n").rpartition("\n\n")
    found = False
    need(bool(text), "this is a signed note")
    for line in signatures.split("\n"):
        signer, signature = line.removeprefix("\N{EM DASH} ").split(" ")
        value = b64decode(signature)
        if (signer, value[:4]) == (name, key_id):
            try:
                Ed25519PublicKey.from_public_bytes(raw[1:]).verify(value[4:], f"{text}\n".encode())
            except InvalidSignature:
                raise NotProved(f"the signature of {name} is wrong") from None
            found = True
    need(found, f"the note is signed with the key of {name}")
    return text.split("\n")


def opened(key: str, note: str) -> tuple[int, bytes]:
    """The size and the root in a checkpoint, if it is one of the key's log."""
    origin, size, root, *_ = signed(key, note)
    need(origin == key.split("+", maxsplit=1)[0], "the note is of this log")
    return int(size), b64decode(root)


def sealed_activity(key: str, note: str) -> tuple[int, bytes]:
    """How many lines of activity are sealed and their root, by a checkpoint of the key's log."""
    opened(key, note)
    found = [line.split(" ") for line in signed(key, note) if line.startswith("activity ")]
    need(len(found) == 1, "the checkpoint says which activity is sealed")
    return int(found[0][1]), b64decode(found[0][2])


def follow(key: str, origins: str) -> str:
    """The key of the last origin, reached from an older one by what that one signed; what each
    goes on from and what was lost is told on the way."""
    items = json.loads(origins)["items"]
    keys = [each["key"] for each in items]
    need(key.strip() in keys, "the key is one of this log's")
    for each in items[keys.index(key.strip()) + 1 :]:
        lines = signed(key, each["note"])
        opened(each["key"], each["note"])
        need(lines[3] == f"key {each['key']}", "the note names the next key")
        said = [line for line in lines[4:] if line.startswith(("after ", "lost "))]
        print(f"{lines[0]} at {lines[1]}", *said, sep="\n  ", file=sys.stderr)
        key = each["key"]
    return key.strip()


def root_with(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that follows from a leaf and its path (RFC 9162, 2.1.3.2)."""
    at, last, root = index, size - 1, leaf
    for each in path:
        need(last > 0, "the path is not longer than the tree is high")
        if at & 1 or at == last:
            root = node(each, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node(root, each)
        at, last = at >> 1, last >> 1
    need(last == 0, "the path is not shorter than the tree is high")
    return root


def roots_with(old: int, size: int, path: list[bytes]) -> tuple[bytes, bytes]:
    """The roots of the older and the newer tree that follow from a path (RFC 9162, 2.1.4.2);
    `path` begins with the older root where that is a power of two."""
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = path[0]
    for each in path[1:]:
        need(last > 0, "the path is not longer than the tree is high")
        if at & 1 or at == last:
            older, newer = node(each, older), node(each, newer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            newer = node(newer, each)
        at, last = at >> 1, last >> 1
    need(last == 0, "the path is not shorter than the tree is high")
    return older, newer


def prove_inclusion(key: str, proof: dict[str, Any], checkpoint: str | None) -> str:
    """What a proof says that an event is in the log. The checkpoint is the one in the proof, unless
    another is given."""
    note = checkpoint or proof.get("checkpoint")
    need(bool(note), "the proof has the checkpoint in it, or one is named")
    of_activity = proof.get("log") == "activity"
    size, root = sealed_activity(key, note or "") if of_activity else opened(key, note or "")
    path = [bytes.fromhex(each) for each in proof["hashes"]]
    leaf, position = bytes.fromhex(proof["leaf"]), int(proof["position"])
    if (entry := proof["entry"]) is not None:  # It is for those who may read the event.
        hashed = sha256(b"\x00" + entry.encode()).digest()
        need(hashed == leaf, "the leaf is the hash of the entry")
        need(entry.split("\n")[0] == str(position), "the entry is the one at this position")
    nouns = ("activity", "lines") if of_activity else ("event", "events")
    fits = f"the proof, on {proof['treeSize']} {nouns[1]}, is one against the checkpoint, on {size}"
    need(proof["treeSize"] == size, fits)
    need(root_with(position - 1, size, leaf, path) == root, "the path leads to the root")
    return f"{nouns[0]} {position} is in the log of {size} {nouns[1]}"


def prove_consistency(
    key: str, proof: dict[str, Any], older: str, older_key: str, checkpoint: str | None
) -> str:
    """What a proof says that the log begins with an older one."""
    note = checkpoint or proof.get("checkpoint")
    need(bool(note), "the proof has the checkpoint in it, or one is named")
    (size, root), (old, old_root) = opened(key, note or ""), opened(older_key, older)
    path = [bytes.fromhex(each) for each in proof["hashes"]]
    fits = (
        f"the proof, from {proof['from']} to {proof['to']}, is one of checkpoints on {old}, {size}"
    )
    need((proof["from"], proof["to"]) == (old, size), fits)
    if old == size:
        need((path, old_root) == ([], root), "the two logs are the same")
    else:
        full = [old_root, *path] if old & (old - 1) == 0 else path
        need(bool(full), "the proof has hashes")
        need(roots_with(old, size, full) == (old_root, root), "the path leads to both roots")
    return f"the log of {size} events begins with the log of {old} events"


# An export: Parquet files of events, each after the other; the same by type; and a manifest.

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEALED = re.compile(r"~1\.[\w=-]+\.([0-9a-f]{32})\.")
HASHES_OF_PERSONS = {"phoneHash", "emailHash"}
"""Fields of a body that `data` may leave out."""
WITHOUT_AMOUNT = {"TransactionQuarantined"}
"""Events whose amount, if they have one, is not in the column."""
COMMON = (
    *("position", "id", "stream", "version", "occurred_at", "recorded_at", "actor_type"),
    *("actor_id", "actor_name", "request_id", "causation_id", "erased"),
)
"""Columns that the files by type have as the log has them."""
LEFT_OUT = {
    "AdminContactChanged.cleared": [],
    "AdminLoggedIn.recovery": False,
    "AdminTwoFactorConfirmed.step": 0,
    "AgentCreated.tickets": [],
    "AlertCreated.enabled": True,
    "ApiKeyCreated.ip_whitelist": [],
    "ApprovalRuleCreated.enabled": True,
    "BackupDeleted.expired": False,
    "BackupStarted.dated": False,
    "BroadcastDrafted.custom_user_ids": [],
    "BroadcastPaused.too_many_failed": False,
    "BroadcastProgressed.sent": 0,
    "BroadcastProgressed.failed": 0,
    "BroadcastProgressed.unknown": 0,
    "BroadcastProgressed.excluded": 0,
    "BroadcastProgressed.chunks": 0,
    "CommandProposed.body": {},
    "CommandProposed.decided_on": [],
    "CommandProposed.effects": [],
    "CommandProposed.path": {},
    "CommandProposed.secrets": [],
    "CommandProposed.words": {},
    "CreditApplied.completed": [],
    "CreditScoreRecomputed.inputs_on_time_completions": 0,
    "CreditScoreRecomputed.inputs_late_completions": 0,
    "CreditScoreRecomputed.inputs_defaults_last_year": 0,
    "CreditScoreRecomputed.inputs_days_past_due": 0,
    "CreditScoreRecomputed.inputs_months_registered": 0,
    "IntegrationCreated.config": {},
    "IntegrationCredentialsRotated.cleared": [],
    "LoanApproved.automatic": False,
    "LoanRequested.decision_reasons": [],
    "LoanRequested.decision_policy": "decision-v1",
    "LoanDisbursed.vat": 0,
    "LoanDisbursed.vat_rate": 0,
    "LoanRequested.fee_mode": "addon",
    "LoanRequested.historical": False,
    "LoanRequested.upfront_fee": 0,
    "LoanRequested.metadata": {},
    "MessagePosted.attachments": [],
    "NotificationQueued.notice_html": False,
    "NotificationQueued.notice_metadata": {},
    "NotificationQueued.taken": False,
    "RepaymentAllocated.completed": [],
    "TicketAssigned.automatic": False,
    "TicketOpened.tags": [],
    "TransactionCompleted.parts": [],
    "TransactionCompleted.unallocated": 0,
    "TransactionFailed.funds_captured": False,
    "TransactionRecorded.metadata": {},
    "CreditApplied.part_fee": 0,
    "CreditTakenBack.part_fee": 0,
    "DebtChargesWaived.charges_fee": 0,
    "DebtChargesWaived.charges_interest": 0,
    "DebtChargesWaived.completed": [],
    "LoanChargesWaived.charges_fee": 0,
    "LoanChargesWaived.charges_interest": 0,
    "LoanDisbursementRequested.earlier": False,
    "LoanDisbursementRequested.reserved": 0,
    "LoanFeeCharged.automatic": False,
    "LoanRepaid.fee": 0,
    "LoanRepaymentReversed.fee": 0,
    "LoanWriteOffUndone.fee": 0,
    "LoanWrittenOff.fee": 0,
}
"""What a field stands for where its event's data leaves it out; of the others, null."""
ENTITIES = {
    "AdminRole": (
        "AdminRoleChanged AdminRoleCreated AdminRoleDeleted AdminRoleGranted AdminRoleWithdrawn "
    ),
    "AdminUser": (
        "AdminAccessReset AdminActivated AdminApiKeyAdded AdminApiKeyRemoved "
        "AdminContactChanged AdminCreated AdminDeactivated AdminInvited AdminLoggedIn "
        "AdminLoggedOut AdminPasswordChanged AdminPasswordResetBegun AdminReinstated "
        "AdminSeen AdminSessionsRevoked AdminSuspended AdminTwoFactorConfirmed "
        "AdminTwoFactorDisabled AdminTwoFactorEnrolled AdminTwoFactorReset "
        "AdminUserRoleChanged "
    ),
    "AdoptedSecrets": ("NamesAdopted SecretsAdopted "),
    "AirtimeFloat": ("FloatAdjusted FloatBecameLow FloatMoved FloatOpened FloatToppedUp "),
    "ApiIntegration": (
        "IntegrationActivated IntegrationArchived IntegrationBroken IntegrationChanged "
        "IntegrationCreated IntegrationCredentialsRotated IntegrationDeactivated "
        "IntegrationTested "
    ),
    "ApiKey": ("ApiKeyCreated ApiKeyRevoked ApiKeyUsed "),
    "ApprovalRule": ("ApprovalRuleChanged ApprovalRuleCreated ApprovalRuleRemoved "),
    "Backup": (
        "BackupDeleted BackupDownloadOffered BackupDownloaded BackupFailed BackupFoundUnsound "
        "BackupPromoted BackupStarted BackupSucceeded BackupVerificationRequested "
        "BackupVerified "
    ),
    "BackupSettings": ("BackupSettingsChanged BackupTaken ScheduledBackupBegun "),
    "BroadcastChunk": ("ChunkAdvanced ChunkFrozen "),
    "BroadcastMessage": (
        "BroadcastCancelled BroadcastDrafted BroadcastEdited BroadcastFailed BroadcastPaused "
        "BroadcastProgressed BroadcastResumed BroadcastScheduled BroadcastSent "
        "BroadcastStarted BroadcastUnscheduled "
    ),
    "CustomerAccess": ("CustomerLoggedIn CustomerLoggedOut CustomerSeen CustomerSessionsEnded "),
    "Department": (
        "DepartmentArchived DepartmentChanged DepartmentCreated DepartmentJoined DepartmentLeft "
    ),
    "EmailTemplate": (
        "EmailTemplateArchived EmailTemplateChanged EmailTemplateCreated "
        "EmailTemplateDisabled EmailTemplateEnabled "
    ),
    "Loan": (
        "DueNoticeSent "
        "LoanApprovalRevoked LoanApproved LoanBecameOverdue LoanCompleted LoanDefaultReversed "
        "LoanChargesWaived LoanDefaulted LoanDisbursed LoanDisbursementAnswered LoanRescheduled "
        "LoanDisbursementDisputed LoanFeeCharged LoanWriteOffUndone LoanWrittenOff "
        "LoanDisbursementFailed LoanDisbursementRequested LoanDisbursementReversed "
        "LoanDisbursementSettled LoanDisbursementUnknown LoanDisputeResolved LoanMetadataSet "
        "LoanRejected LoanRepaid LoanRepaymentReversed LoanRequested "
    ),
    "LoanProduct": ("LoanProductArchived LoanProductChanged LoanProductCreated "),
    "NotificationHistory": (
        "NotificationContradicted NotificationDelivered NotificationFailed "
        "NotificationOutcomeUnknown NotificationQueued NotificationRetried NotificationSent "
        "NotificationTaken NotificationWithheld "
    ),
    "Outbound": ("OutboundResumed OutboundStopped "),
    "Proposal": (
        "CommandProposed ProposalApproved ProposalExpired ProposalFailed ProposalRejected "
        "ProposalWithdrawn "
    ),
    "ProviderClearing": ("ClearingSettled "),
    "SecuritySettings": ("SecuritySettingsChanged "),
    "Settlement": ("SettlementRecorded "),
    "SmsTemplate": (
        "SmsTemplateArchived SmsTemplateChanged SmsTemplateCreated SmsTemplateDisabled "
        "SmsTemplateEnabled "
    ),
    "Statement": ("StatementFinished StatementLinesSettled StatementStarted "),
    "SupportAgent": (
        "AgentAvailabilityChanged AgentCreated AgentMoved AgentRetired AgentTicketLeft "
        "AgentTicketTaken AgentTierChanged "
    ),
    "SystemAlert": (
        "AlertAcknowledged AlertArchived AlertChanged AlertCreated AlertDisabled AlertEnabled "
        "AlertStateChanged AlertTriggered "
    ),
    "SystemConfig": ("SystemConfigReset SystemConfigSet "),
    "Ticket": (
        "AttachmentAdded MessagePosted MessagesRead TicketAssigned TicketCategoryChanged "
        "TicketClosed TicketDepartmentChanged TicketEscalated TicketEscalationAccepted "
        "TicketOpened TicketPriorityChanged TicketReopened TicketResolutionOverdue "
        "TicketResolved TicketResponseOverdue TicketStarted TicketTagged TicketUnassigned "
        "TicketUntagged "
    ),
    "Transaction": (
        "TransactionCompleted TransactionFailed TransactionNoted TransactionQuarantined "
        "TransactionReconciled TransactionReconciliationUndone TransactionRecorded "
        "TransactionRefunded TransactionReversed "
    ),
    "User": (
        "AutoLimitDisabled AutoLimitEnabled CreditApplied CreditDefaulted CreditLimitAdjusted "
        "CreditLimitSet CreditRefunded CreditReleased CreditReserved CreditScoreRecomputed "
        "CreditScoreSet CreditTakenBack DebtBecameOverdue DebtCancelled DebtDefaultReversed "
        "DebtDefaulted DebtIncurred DebtReopened RepaymentAllocated RepaymentReversed "
        "DebtChargesWaived DebtFeeCharged DebtRescheduled DebtWriteOffUndone DebtWrittenOff "
        "UserActivated UserContactChanged UserDeactivated UserDeleted UserErased UserOptedIn "
        "UserOptedOut UserPhoneVerified UserRegistered UserReinstated UserSuspended "
    ),
}
"""The events of each entity."""
TIMESTAMP, DECIMAL = 10, 5
"""How Parquet marks times in microseconds, and numbers with decimals."""
NUMBER, TRUTH, WORD = {1: 2}, {1: 0}, {1: 6, 6: 0, 10: {1: {}}}
MOMENT = {1: 2, 6: TIMESTAMP, 10: {8: {1: True, 2: {2: {}}}}}
MONEY = {1: 7, 2: 9, 6: DECIMAL, 7: 2, 8: 20, 10: {5: {1: 2, 2: 20}}}
RATE = {1: 7, 2: 5, 6: DECIMAL, 7: 6, 8: 10, 10: {5: {1: 6, 2: 10}}}
"""How Parquet's footer describes the columns of an export: what is stored, and what it means."""
IN_THE_LOG = {
    **dict.fromkeys(("position", "version"), NUMBER),
    **dict.fromkeys(("occurred_at", "recorded_at"), MOMENT),
    **dict.fromkeys(("id", "stream", "entity", "name", "actor_type", "actor_id"), WORD),
    **dict.fromkeys(("actor_name", "request_id", "causation_id", "data", "body"), WORD),
    "amount": MONEY,
    "erased": TRUTH,
}
"""Columns of the log."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte; and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def thrift(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """A struct in Thrift's compact protocol, by the numbers of its fields; and where it ends."""
    fields: dict[int, Any] = {}
    last = 0
    while head := data[at]:
        last, at = last + (head >> 4), at + 1
        if not head >> 4:
            last, at = thrift_value(data, 5, at)
        if head & 15 in (1, 2):  # A truth is in the head of its field.
            fields[last] = head & 15 == 1
        else:
            fields[last], at = thrift_value(data, head & 15, at)
    return fields, at + 1


def thrift_value(data: bytes, kind: int, at: int) -> tuple[Any, int]:
    """A value of a kind, as it stands in a struct or in a list; and where it ends."""
    if kind in (1, 2, 3):
        return data[at], at + 1
    if kind in (4, 5, 6):
        value, at = varint(data, at)
        return value >> 1 ^ -(value & 1), at
    if kind in (7, 8):
        length, at = (8, at) if kind == 7 else varint(data, at)
        return data[at : at + length], at + length
    if kind in (9, 10):
        count, each, at = data[at] >> 4, data[at] & 15, at + 1
        if count == 15:
            count, at = varint(data, at)
        items = []
        for _ in range(count):
            item, at = thrift_value(data, each, at)
            items.append(item)
        return items, at
    need(kind == 12, "it is a file of Parquet")
    return thrift(data, at)


def runs(data: bytes, at: int, width: int, count: int) -> list[int]:
    """Numbers of so many bits in Parquet's hybrid of runs and packed bits."""
    found: list[int] = []
    while len(found) < count:
        head, at = varint(data, at)
        size = (head >> 1) * width if head & 1 else (width + 7) // 8
        bits = int.from_bytes(data[at : at + size], "little")
        at += size
        if head & 1:
            mask = (1 << width) - 1
            for place in range(head >> 1):  # Eight at a time: shifting all of them takes long.
                eight = bits >> 8 * width * place & (1 << 8 * width) - 1
                found += [eight >> width * each & mask for each in range(8)]
        else:
            found += [bits] * (head >> 1)
    return found[:count]


def plain(data: bytes, at: int, kind: int, length: int, count: int) -> list[Any]:
    """Values as Parquet writes them plainly."""
    if kind == 0:
        return [bool(data[at + place // 8] >> place % 8 & 1) for place in range(count)]
    if kind == 2:
        ends = range(at, at + 8 * count, 8)
        return [int.from_bytes(data[each : each + 8], "little", signed=True) for each in ends]
    if kind == 7:
        ends = range(at, at + length * count, length)
        return [int.from_bytes(data[each : each + length], "big", signed=True) for each in ends]
    need(kind == 6, "the columns are of types that an export has")
    found = []
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        found.append(data[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


def column(data: bytes, meta: dict[int, Any], length: int) -> list[Any]:
    """The values of a column in a row group; None where there is none."""
    at, values, words = min(meta.get(11, meta[9]), meta[9]), list[Any](), list[Any]()
    need(meta[4] in (0, 2), "the files are compressed with gzip, as rim-ledger export writes them")
    while len(values) < meta[5]:
        head, at = thrift(data, at)
        page = data[at : at + head[3]]
        at += head[3]
        page = zlib.decompress(page, 31) if meta[4] == 2 else page
        if head[1] == 2:
            words = plain(page, 0, meta[1], length, head[7][1])
            continue
        need(head[1] == 0, "the pages are of the first version")
        count, encoding = head[5][1], head[5][2]
        size = int.from_bytes(page[:4], "little")
        there = runs(page, 4, 1, count)
        start, present = 4 + size, sum(there)
        if encoding in (2, 8):
            places = runs(page, start + 1, page[start], present) if page[start] else [0] * present
            found = [words[place] for place in places]
        else:
            need(encoding == 0, "the values are written plainly, or by a dictionary")
            found = plain(page, start, meta[1], length, present)
        each = iter(found)
        values += [next(each) if is_there else None for is_there in there]
    return values


def rows_in(
    file: Path, kinds: dict[str, dict[int, Any]], columns: dict[str, dict[int, Any]] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a file of an export, with these columns, if any are given; how each column is
    described is added to `kinds`."""
    try:
        yield from parquet(file.read_bytes(), kinds, columns)
    except NotProved as error:
        raise NotProved(f"{file} is no file of an export: {error}") from None
    except (LookupError, ValueError, TypeError, zlib.error):
        raise NotProved(f"{file} is no file of an export") from None


def parquet(
    data: bytes, kinds: dict[str, dict[int, Any]], columns: dict[str, dict[int, Any]] | None
) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, and how its columns are described."""
    need(data[:4] == data[-4:] == b"PAR1", "it is a file of Parquet")
    footer, _ = thrift(data, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))
    for each in footer[2][1:]:
        meaning = {field: value for field, value in each.items() if field not in (3, 4)}
        kinds[name := each[4].decode()] = meaning
        known = (NUMBER, TRUTH, WORD, MOMENT, MONEY, RATE)
        need(meaning in known, f"{name} is of a type that an export has")
    need(len(kinds) == len(footer[2]) - 1, "no column is there twice")
    right = kinds if columns is None else columns
    need(kinds == right, f"its columns are those of the log: {', '.join(right)}")
    need(footer[3] == sum(each[3] for each in footer[4]), "it has the rows that it counts")
    need(not footer.get(5), "it says no more than its columns do")
    for group in footer[4]:
        metas = [each[3] for each in group[1]]
        names = [meta[3][0].decode() for meta in metas]
        need(names == [*kinds], "a row group has the columns of its file")
        values = [
            column(data, meta, kinds[name].get(2, 0))
            for name, meta in zip(names, metas, strict=True)
        ]
        for name, chunk, found in zip(names, group[1], values, strict=True):
            need(len(found) == group[3], f"{name} has as many values as there are rows")
            described(name, chunk, found, kinds[name].get(2, 0))
        for row in zip(*values, strict=True):
            yield dict(zip(names, row, strict=True))


def described(name: str, chunk: dict[int, Any], values: list[Any], length: int) -> None:
    """What is said of a column in a row group, to those who leave out what they do not look for,
    is so."""
    hints = chunk.keys() & {4, 5, 6, 7} or chunk[3].keys() & {14, 15}
    need(not hints, f"there is no index of {name}")
    found = [each for each in values if each is not None]
    bounds = [(min, found), (max, found)] if found else []
    said = chunk[3].get(12, {})
    wrong = said.get(3, values.count(None)) != values.count(None)
    for least, most in ((2, 1), (6, 5)):
        for field, (bound, among) in zip((least, most), bounds, strict=False):
            if field in said:
                size = len(said[field]).to_bytes(4, "little") if chunk[3][1] == 6 else b""
                wrong |= plain(size + said[field], 0, chunk[3][1], length, 1) != [bound(among)]
    need(not wrong, f"the statistics of {name} are those of its rows")


def shown(value: Any, erased: set[str], seen: set[str]) -> Any:
    """A value of a body as `data` shows it; whose words are hidden is added to those seen."""
    if isinstance(value, dict):
        return {name: shown(each, erased, seen) for name, each in value.items()}
    if isinstance(value, list):
        return [shown(each, erased, seen) for each in value]
    if isinstance(value, str) and (found := SEALED.match(value)):
        seen.add(found[1])
        return None if found[1] in erased else "***"
    return value


def wrong_columns(row: dict[str, Any], erased: set[str]) -> list[str]:
    """The columns of a row that do not follow from its body, when these persons are erased."""
    body = json.loads(row["body"], parse_float=Decimal)
    stamp, seen = body["stamp"], set[str]()
    right = {
        "id": body["id"],
        "actor_type": stamp["actor"]["type"],
        "actor_id": stamp["actor"].get("id"),
        "actor_name": stamp["actor"].get("name", ""),
        "request_id": stamp.get("requestId"),
        "causation_id": stamp.get("causation"),
        "occurred_at": (datetime.fromisoformat(stamp["at"]) - EPOCH) // timedelta(microseconds=1),
        "amount": None,
    }
    if row["name"] not in WITHOUT_AMOUNT and "amount" in body["data"]:
        right["amount"] = int(Decimal(body["data"]["amount"]) * 100)
    data = shown(body["data"], erased, seen)
    right["erased"] = bool(seen & erased)
    wrong = [name for name, value in right.items() if row[name] != value]
    if body.get("schema", 1) == 1:  # What is of an older schema is shown in today's shape.
        said = json.loads(row["data"], parse_float=Decimal)
        for name in HASHES_OF_PERSONS - said.keys():
            data.pop(name, None)
        wrong += [] if said == data else ["data"]
    return wrong


def fields(name: str, data: dict[str, Any], columns: set[str]) -> dict[str, Any]:
    """The columns of a type of event that follow from its data."""
    found = dict.fromkeys(columns) | {
        column: value
        for column in columns
        if (value := LEFT_OUT.get(f"{name}.{column}")) is not None
    }

    def add(values: dict[str, Any], prefix: str) -> None:
        for wire, value in values.items():
            column = prefix + re.sub("[A-Z]", lambda each: f"_{each[0].lower()}", wire)
            column = f"data_{column}" if column in COMMON else column
            if column in columns:
                found[column] = value
            elif isinstance(value, dict):
                add(value, f"{column}_")
            else:
                need(value is None, f"the file has a column {column}")

    add(data, "")
    return found


def same(value: Any, found: Any, kind: dict[int, Any]) -> bool:
    """Whether a column holds a value of an event's data."""
    mark, decimals = kind.get(6), kind.get(7, 0)
    if value is None or found is None:
        return value is found
    if mark == TIMESTAMP:
        return (datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1) == found
    if mark == DECIMAL:
        return Decimal(value) * 10**decimals == found
    if type(value) is type(found):
        return found in (value, json.dumps(value, ensure_ascii=False))
    return isinstance(found, str) and json.loads(found, parse_float=Decimal) == value


class Typed:
    """The files by type of a segment, which has their names."""

    def __init__(self, place: Path, segment: dict[str, Any]) -> None:
        self.files: dict[str, Path] = {}
        self.kinds: dict[str, dict[str, dict[int, Any]]] = {}
        self.rows: dict[str, Iterator[dict[str, Any]]] = {}
        self.is_there = segment.get("typed") is not None
        for each in segment.get("typed") or ():
            name = each["name"]
            file = self.files[name] = place / name / segment["file"]
            need(file.is_file(), f"{file} is there")
            need(sha256(file.read_bytes()).hexdigest() == each["sha256"], f"{file} is as written")
            self.kinds[name] = {}
            self.rows[name] = rows_in(file, self.kinds[name])

    def check(self, row: dict[str, Any]) -> None:
        """A row of the log stands among those of its type as it should."""
        if not self.is_there:
            return
        name, position = row["name"], row["position"]
        found = next(self.rows.get(name, iter(())), None)
        if found is None:
            raise NotProved(f"position {position} is not among the files of {name}")
        place, kinds = f"{self.files[name]}: position {position}", self.kinds[name]
        columns = found.keys() - set(COMMON)
        try:
            right = fields(name, json.loads(row["data"], parse_float=Decimal), columns)
            wrong = [each for each in COMMON if found.get(each) != row[each]]
            wrong += [each for each in columns if not same(right[each], found[each], kinds[each])]
        except (LookupError, ValueError, TypeError, ArithmeticError):
            raise NotProved(f"{place}: it is none of its event") from None
        need(not wrong, f"{place}: {', '.join(sorted(wrong))} follows from its body")

    def end(self) -> None:
        """There are no other rows."""
        for name, rows in self.rows.items():
            row = next(rows, None)
            need(row is None, f"{self.files[name]} has the events of its segment and no others")


class Export:
    """One pass over an export, in the order of positions."""

    def __init__(self, place: Path, key: str) -> None:
        self.place, self.key = place.resolve(), key
        beside = self.place.with_name
        self.types_place = beside(f"{self.place.name}.types")
        self.proofs = beside(f"{self.place.name}.proof")
        if not self.proofs.exists() and (place / "manifest.json").exists():
            self.proofs = self.place  # As earlier versions of the program wrote it.
        self.manifest = json_in(str(self.proofs / "manifest.json"))
        self.first, self.types = self.manifest["first"], self.manifest.get("types")
        self.size, self.roots = 0, list[tuple[int, bytes]]()
        self.hidden: dict[str, int] = {}
        self.entities = {name: each for each, names in ENTITIES.items() for name in names.split()}

    def claims(self) -> list[tuple[int, bytes]]:
        """Sizes and roots that were signed, in order; the last is that of the checkpoint."""
        need(self.manifest.get("checkpoint") is not None, "the export has a checkpoint")
        keys, found, before = [], [], ""
        for note in self.manifest["origins"]:
            named = note.split("\n")[3]
            need(named.startswith("key "), "each origin names its key")
            key = named.removeprefix("key ")
            found.append(opened(key, note))
            if before:
                for line in signed(before, note)[4:]:
                    if line.startswith("after "):
                        _, _, size, root = line.split(" ")
                        found.append((int(size), b64decode(root)))
            keys.append(before := key)
        need(self.key.strip() in keys, "the key is one of this log's")
        origin = self.manifest["checkpoint"].split("\n")[0]
        (key,) = (each for each in keys if each.split("+")[0] == origin)
        last = opened(key, self.manifest["checkpoint"])
        return [*sorted(each for each in found if 0 < each[0] < last[0]), last]

    def rows(self) -> Iterator[tuple[int, int, bytes, str | None]]:
        """The leaves that are exported: from, to, root, and who was erased by it."""
        last = self.first - 1
        for segment in self.manifest["segments"]:
            need(segment["first"] == last + 1, f"position {last + 1} is in the export")
            file, count = self.place / segment["file"], 0
            need(
                sha256(file.read_bytes()).hexdigest() == segment["sha256"], f"{file} is as written"
            )
            types = Typed(self.types_place, segment)
            for row in rows_in(file, {}, IN_THE_LOG):
                place = f"{file}: position {row['position']}"
                self.check(place, row)
                types.check(row)
                need(segment["first"] <= row["position"] <= segment["last"], f"{place} is in it")
                yield self.leaf(row)
                count += 1
            types.end()
            need(count == segment["rows"], f"{file} has {segment['rows']} rows, and not {count}")
            last = segment["last"]

    def check(self, place: str, row: dict[str, Any]) -> None:
        """All columns of a row follow from its body."""
        entity = self.entities.setdefault(row["name"], row["entity"])
        need(entity == row["entity"], f"{place}: entity is {entity}, as for all events of its name")
        persons = sorted(set(SEALED.findall(row["body"])))
        choices = (combinations(persons, count) for count in range(len(persons) + 1))
        wrong = list[str]()
        for erased in chain.from_iterable(choices):
            try:
                wrong = wrong_columns(row, set(erased))
            except (LookupError, ValueError, TypeError, ArithmeticError):
                raise NotProved(f"{place}: its body or data is none of an event") from None
            if not wrong:
                for person in erased:
                    self.hidden.setdefault(person, row["position"])
                return
        raise NotProved(f"{place}: {', '.join(wrong)} does not follow from its body")

    def leaf(self, row: dict[str, Any]) -> tuple[int, int, bytes, str | None]:
        at = EPOCH + timedelta(microseconds=row["recorded_at"])
        text = f"{at.isoformat(timespec='microseconds')[:26]}Z"
        words = (row["position"], row["stream"], row["version"], row["name"], text, row["body"])
        return self.part("\n".join(map(str, words)))

    def part(self, entry: str) -> tuple[int, int, bytes, str | None]:
        position, stream, _, name, *_ = entry.split("\n", 5)
        erased = stream.replace("-", "") if name == "UserErased" else None
        root = sha256(b"\x00" + entry.encode()).digest()
        return int(position) - 1, int(position), root, erased

    def absent(self) -> Iterator[tuple[int, int, bytes, str | None]]:
        """What stands for the events that are left out."""
        for proof in self.manifest.get("proofs", []):
            file = self.proofs / proof["file"]
            need(file.is_file(), f"{file} is there")
            need(sha256(file.read_bytes()).hexdigest() == proof["sha256"], f"{file} is as written")
            for line in gzip.decompress(file.read_bytes()).decode().splitlines():
                said = json.loads(line)
                part = (
                    self.part(said["entry"])
                    if "entry" in said
                    else (said["from"], said["to"], bytes.fromhex(said["root"]), None)
                )
                outside = self.types is not None or part[1] < self.first
                need(outside, f"position {max(part[0] + 1, self.first)} is in the export")
                yield part

    def add(self, start: int, end: int, root: bytes) -> None:
        """Add a perfect subtree to the tree."""
        need(start <= self.size, f"position {self.size + 1} is in the export")
        need(start == self.size, f"position {start + 1} is in the export once")
        width = end - start
        fits = width > 0 and not width & (width - 1) and not start % width
        need(fits, f"the proofs at position {start + 1} are whole subtrees")
        self.size = end
        while self.roots and self.roots[-1][0] == width:
            root, width = node(self.roots.pop()[1], root), 2 * width
        self.roots.append((width, root))

    def root(self) -> bytes:
        _, root = self.roots[-1]
        for _, each in reversed(self.roots[:-1]):
            root = node(each, root)
        return root

    def alone(self) -> None:
        """Readers find no other files than those of the manifest."""
        known = set[Path]()
        for segment in self.manifest["segments"]:
            known.add(self.place / segment["file"])
            types = segment.get("typed") or ()
            known |= {self.types_place / each["name"] / segment["file"] for each in types}
        if self.proofs == self.place:
            named = (each["file"] for each in self.manifest.get("proofs", ()))
            known |= {self.place / name for name in ("manifest.json", *named)}
        for place in (self.place, self.types_place):
            for file in place.rglob("*"):
                other = (file.is_symlink() or not file.is_dir()) and file not in known
                need(not other, f"{file} is one of the export's files")

    def verify(self) -> str:
        """What was proved of the export."""
        self.alone()
        claims, erased = self.claims(), set[str | None]()
        parts = merge(self.rows(), self.absent(), key=lambda part: part[0])
        for size, root in claims:
            while self.size < size:
                part = next(parts, None)
                if part is None:
                    raise NotProved(f"it ends at position {self.size}, and was signed up to {size}")
                self.add(*part[:3])
                erased.add(part[3])
            fits = f"the first {size} events are those that were signed"
            need(self.size == size and self.root() == root, fits)
        for part in parts:  # These are not sealed yet.
            if self.types is None:
                self.add(*part[:3])
        for person, position in self.hidden.items():
            words = f"person {person}, whose words position {position} hides, was erased"
            need(person in erased, f"{words} by a sealed event (the newest are in the next export)")
        last = max([self.first - 1, *(each["last"] for each in self.manifest["segments"])])
        sealed = claims[-1][0]
        return f"{self.place}: as signed; events up to position {last}, {sealed} of the log sealed"


def text_in(name: str) -> str:
    try:
        return Path(name).read_text()
    except (OSError, ValueError) as error:
        raise NotProved(f"{name} cannot be read: {error}") from None


def json_in(name: str) -> dict[str, Any]:
    try:
        found = json.loads(text_in(name))
    except ValueError as error:
        raise NotProved(f"{name} is no JSON: {error}") from None
    need(isinstance(found, dict), f"{name} is an object of JSON")
    return dict(found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ways = parser.add_subparsers(dest="what", required=True)
    way = ways.add_parser("inclusion", help="an event, or a line of activity, is in the log")
    way.add_argument("key", metavar="KEY")
    way.add_argument("proof", help="the answer of a route that ends in /proof")
    way.add_argument("checkpoint", nargs="?", help="another checkpoint than the one in the proof")
    way = ways.add_parser("consistency", help="the log begins with an older one")
    way.add_argument("key", metavar="KEY")
    way.add_argument("proof", help="the answer of /v1/consistency")
    way.add_argument("older", help="the older checkpoint")
    way.add_argument("--checkpoint", help="another checkpoint than the one in the proof")
    way.add_argument("--older-key", help="the key of the older checkpoint, where that was another")
    way = ways.add_parser("follow", help="from an older key to the one that is signed with now")
    way.add_argument("key", metavar="KEY")
    way.add_argument("origins", help="the answer of /v1/checkpoint/origins")
    way = ways.add_parser("export", help="an exported directory is as it was signed")
    way.add_argument("key", metavar="KEY")
    way.add_argument("directory", help="what rim-ledger export --to named")
    return parser.parse_args()


def main(given: argparse.Namespace) -> str:
    key = text_in(given.key)
    if given.what == "follow":
        return follow(key, text_in(given.origins))
    if given.what == "export":
        return Export(Path(given.directory), key).verify()
    checkpoint = text_in(given.checkpoint) if given.checkpoint else None
    if given.what == "inclusion":
        return prove_inclusion(key, json_in(given.proof), checkpoint)
    older_key = text_in(given.older_key) if given.older_key else key
    return prove_consistency(key, json_in(given.proof), text_in(given.older), older_key, checkpoint)


if __name__ == "__main__":
    try:
        print(main(arguments()))
    except NotProved as error:
        sys.exit(f"not proved: {error}")
    except Exception as error:  # What was given is none of what it should be.
        sys.exit(f"not proved: {type(error).__name__}: {error}")
