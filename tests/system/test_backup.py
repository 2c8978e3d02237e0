"""Backups: one at a time, chains, when they are due, and which of them are put away."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from rim_ledger.delivery.kill_switch import (
    OutboundResumed,
    OutboundStopped,
    SwitchOutbound,
    is_open,
)
from rim_ledger.engine.refusals import Refused, Unauthenticated
from rim_ledger.system.backup import (
    Backup,
    BackupFailed,
    BackupFoundUnsound,
    BackupStatus,
    BackupSucceeded,
    BackupVerificationRequested,
    BackupVerified,
)
from rim_ledger.system.backup_commands import (
    DROP,
    MAKE,
    DeleteBackup,
    StartBackup,
    VerifyBackup,
    chain_of,
    check_backup_schedule,
    end_download,
    expired,
    find_download,
    offer_download,
    succeed,
)
from rim_ledger.system.backup_settings import (
    SCHEDULE,
    SETTINGS,
    BackupFrequency,
    BackupSettings,
    BackupSettingsChanged,
    BackupType,
    EditBackupSettings,
    StorageLocation,
    next_moment,
    set_defaults,
)
from tests.spec import START, Memory, names

FULL, INCREMENTAL = BackupType.FULL, BackupType.INCREMENTAL


class Vaults(Memory):
    """A memory in which backups are made without writing any."""

    def __init__(self) -> None:
        super().__init__()
        uow = self.uow()
        set_defaults(uow)
        self.keep(uow)
        self.position = 0

    def start(self, type: BackupType = FULL) -> Backup:
        backup = self.environment.new_id()
        self.perform(Backup, backup, StartBackup(type=type))
        return self.backup(backup)

    def made(self, type: BackupType = FULL) -> Backup:
        """One more backup that succeeds; a day goes by before it."""
        self.environment.pass_days(1)
        backup = self.start(type)
        self.position += 10
        return self.written(backup)

    def written(self, backup: Backup) -> Backup:
        """The file of a backup is whole."""
        done = BackupSucceeded(size=5, position=self.position, events=10, files=0, missing=0)
        uow = self.uow()
        succeed(backup.id, done)(uow)
        self.keep(uow)
        return self.backup(backup.id)

    def append(
        self, backup: Backup, event: BackupFailed | BackupFoundUnsound | BackupVerified
    ) -> None:
        uow = self.uow()
        uow.append(Backup, backup.id, [event])
        self.keep(uow)

    def offer(self, backup: Backup, token: str) -> None:
        uow = self.uow()
        offer_download(backup.id, token, uow)
        self.keep(uow)

    def backup(self, id: UUID) -> Backup:
        found = self.streams[id].aggregate
        assert isinstance(found, Backup)
        return found

    def settings(self) -> BackupSettings:
        found = self.streams[SETTINGS].aggregate
        assert isinstance(found, BackupSettings)
        return found

    def refused(self, command: StartBackup | DeleteBackup | VerifyBackup, id: UUID) -> str:
        with pytest.raises(Refused) as refusal:
            self.perform(Backup, id, command)
        return refusal.value.code

    def look(self) -> list[str]:
        """What the clock makes of the schedule."""
        uow = self.uow()
        check_backup_schedule(uow)
        return names(self.keep(uow))


def test_a_file_that_is_written_after_its_backup_was_given_up_is_cleared_away() -> None:
    vaults = Vaults()
    late = vaults.start()
    vaults.append(late, BackupFailed(reason="It was interrupted."))
    assert vaults.written(late).status is BackupStatus.FAILED
    assert vaults.reminders[DROP, late.id] == vaults.environment.time
    good = vaults.made()
    assert vaults.written(good).status is BackupStatus.SUCCESS
    assert (DROP, good.id) not in vaults.reminders


def test_backups_are_made_one_at_a_time() -> None:
    vaults = Vaults()
    first = vaults.start()
    assert vaults.refused(StartBackup(), vaults.environment.new_id()) == "backup-in-progress"
    assert vaults.refused(DeleteBackup(), first.id) == "backup-in-progress"
    assert vaults.refused(VerifyBackup(), first.id) == "no-backup-file"
    assert vaults.reminders[MAKE, first.id] == START
    vaults.append(first, BackupFailed(reason="The disk is full."))
    assert vaults.backup(first.id).status is BackupStatus.FAILED
    assert vaults.made().status is BackupStatus.SUCCESS


def test_an_incremental_backup_goes_on_from_the_last_one_that_can_be_used() -> None:
    vaults = Vaults()
    full = vaults.made(INCREMENTAL)
    assert (full.type, full.promoted) == (FULL, "There is no backup to go on from.")
    first, second = vaults.made(INCREMENTAL), vaults.made(INCREMENTAL)
    assert [first.parent_id, second.parent_id] == [full.id, first.id]
    assert (second.type, second.promoted) == (INCREMENTAL, None)
    vaults.append(first, BackupFoundUnsound(reason="piece 3 was damaged"))
    again = vaults.made(INCREMENTAL)
    assert (again.type, again.parent_id) == (FULL, None)
    assert again.promoted
    assert "cannot be used" in again.promoted
    cloud = EditBackupSettings(storage_location=StorageLocation.CLOUD, cloud_provider="s3")
    vaults.perform(BackupSettings, SETTINGS, cloud)
    assert vaults.made(INCREMENTAL).promoted == "The last backup is in another place (local)."


def test_a_backup_that_is_found_unsound_has_failed_until_it_is_found_whole() -> None:
    vaults = Vaults()
    good, backup = vaults.made(), vaults.made()
    vaults.offer(backup, "token")
    vaults.append(backup, BackupFoundUnsound(reason="piece 3 was damaged"))
    found = vaults.backup(backup.id)
    assert (found.status, found.failed_at) == (BackupStatus.FAILED, vaults.environment.time)
    assert (found.sound, found.kept, found.download_url) == (False, True, None)
    with pytest.raises(Refused) as refusal:
        vaults.offer(backup, "another")
    assert refusal.value.code == "backup-failed"
    with pytest.raises(Unauthenticated):
        find_download(backup.id, "token", vaults.uow())
    vaults.environment.pass_days(400)
    assert vaults.made(INCREMENTAL).type is FULL
    assert vaults.backup(good.id).deleted_at, "another full one has succeeded since"
    whole = vaults.made()
    vaults.append(whole, BackupFoundUnsound(reason="Its file is gone."))
    vaults.perform(Backup, whole.id, VerifyBackup())
    vaults.append(whole, BackupVerified())
    assert vaults.backup(whole.id).sound
    assert vaults.backup(whole.id).failed_at is None


def test_retention_keeps_the_last_full_backup_that_has_not_failed() -> None:
    vaults = Vaults()
    good, bad = vaults.made(), vaults.made()
    vaults.append(bad, BackupFoundUnsound(reason="piece 3 was damaged"))
    both = [vaults.backup(good.id), vaults.backup(bad.id)]
    later = vaults.environment.time + timedelta(days=400)
    assert [each.id for each in expired(both, later)] == [bad.id]


def test_what_a_waiting_backup_would_go_on_from_is_looked_at_again() -> None:
    vaults = Vaults()
    full, more = vaults.made(), vaults.made(INCREMENTAL)
    last = vaults.start(INCREMENTAL)
    vaults.append(full, BackupFoundUnsound(reason="piece 3 was damaged"))
    chain = chain_of(last, vaults.uow())
    assert [(each.id, each.sound) for each in chain] == [(full.id, False), (more.id, True)]


def test_what_others_go_on_from_is_not_deleted_before_them() -> None:
    vaults = Vaults()
    full, more = vaults.made(), vaults.made(INCREMENTAL)
    assert vaults.refused(DeleteBackup(), full.id) == "backup-has-children"
    running = vaults.start(INCREMENTAL)
    assert vaults.refused(DeleteBackup(), more.id) == "backup-in-progress"
    vaults.append(running, BackupFailed(reason="interrupted"))
    for each in (more, full):
        assert names(vaults.perform(Backup, each.id, DeleteBackup())) == ["BackupDeleted"]
        assert vaults.refused(DeleteBackup(), each.id) == "already-done"
        assert ("drop-backup", each.id) in vaults.reminders


def test_chains_are_put_away_whole_and_never_the_last_full_one_that_is_sound() -> None:
    vaults = Vaults()
    vaults.perform(BackupSettings, SETTINGS, EditBackupSettings(retention_days=3))
    old = [vaults.made(), vaults.made(INCREMENTAL), vaults.made(INCREMENTAL)]
    new = [vaults.made(), vaults.made(INCREMENTAL)]
    assert not any(vaults.backup(each.id).deleted_at for each in old), "one of them is young"
    new.append(vaults.made(INCREMENTAL))
    new.append(vaults.made(INCREMENTAL))
    assert all(vaults.backup(each.id).deleted_at for each in old)
    vaults.environment.pass_days(30)
    failed = vaults.start()
    vaults.append(failed, BackupFailed(reason="The disk is full."))
    assert not any(vaults.backup(each.id).deleted_at for each in new), "it never follows a failure"
    vaults.made(INCREMENTAL)
    assert not any(vaults.backup(each.id).deleted_at for each in new), "the last full one is there"
    vaults.environment.pass_days(30)
    vaults.made()
    assert all(vaults.backup(each.id).deleted_at for each in new)


@pytest.mark.parametrize(
    ("frequency", "after", "due"),
    [
        ("daily", (2026, 1, 5, 0, 59), (2026, 1, 5, 1, 0)),
        ("daily", (2026, 1, 5, 1, 0), (2026, 1, 6, 1, 0)),
        ("daily", (2026, 1, 5, 23, 30), (2026, 1, 6, 1, 0)),
        ("weekly", (2026, 1, 5, 9, 0), (2026, 1, 11, 1, 0)),
        ("weekly", (2026, 1, 11, 1, 0), (2026, 1, 18, 1, 0)),
        ("monthly", (2026, 1, 5, 9, 0), (2026, 2, 1, 1, 0)),
        ("monthly", (2026, 12, 1, 1, 0), (2027, 1, 1, 1, 0)),
    ],
)
def test_the_next_backup_is_due_when_the_clocks_of_lagos_say_so(
    frequency: str, after: tuple[int, ...], due: tuple[int, ...]
) -> None:
    begun, expected = (datetime(*each, tzinfo=UTC) for each in (after, due))  # type: ignore[misc,arg-type]
    assert next_moment(BackupFrequency(frequency), "02:00", begun) == expected


def test_a_schedule_begins_one_backup_for_all_that_were_missed() -> None:
    vaults = Vaults()
    assert vaults.settings().next_backup is None
    assert vaults.look() == [], "backups are off"
    vaults.perform(BackupSettings, SETTINGS, EditBackupSettings(enabled=True, time="12:00"))
    due = datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert vaults.settings().next_backup == vaults.reminders[SCHEDULE, SETTINGS] == due
    assert vaults.look() == [], "it is not due yet"
    vaults.environment.pass_days(5)
    assert vaults.look() == ["BackupStarted", "ScheduledBackupBegun"]
    assert vaults.look() == []
    assert vaults.settings().next_backup == datetime(2026, 1, 10, 11, tzinfo=UTC)
    vaults.environment.pass_days(1)
    assert vaults.look() == [], "one is being made"
    assert vaults.reminders[SCHEDULE, SETTINGS] == vaults.environment.now() + timedelta(minutes=1)
    vaults.perform(BackupSettings, SETTINGS, EditBackupSettings(enabled=False))
    assert vaults.settings().next_backup is None
    assert vaults.reminders[SCHEDULE, SETTINGS] is None


def test_a_cloud_provider_goes_with_the_cloud_and_with_nothing_else() -> None:
    vaults = Vaults()
    cloud, local = StorageLocation.CLOUD, StorageLocation.LOCAL
    for wish in (
        EditBackupSettings(cloud_provider="s3"),
        EditBackupSettings(storage_location=cloud),
        EditBackupSettings(storage_location=local, cloud_provider="s3"),
    ):
        with pytest.raises(Refused) as refusal:
            vaults.perform(BackupSettings, SETTINGS, wish)
        assert refusal.value.code == "cloud-provider"
    both = EditBackupSettings(storage_location=cloud, cloud_provider="s3")
    vaults.perform(BackupSettings, SETTINGS, both)
    assert vaults.perform(BackupSettings, SETTINGS, both) == []
    assert vaults.perform(BackupSettings, SETTINGS, EditBackupSettings(cloud_provider="gs")) == [
        BackupSettingsChanged(cloud_provider="gs")
    ]
    vaults.perform(BackupSettings, SETTINGS, EditBackupSettings(storage_location=local))
    assert vaults.settings().cloud_provider is None


def test_a_backup_is_looked_at_again_once_at_a_time() -> None:
    vaults = Vaults()
    backup = vaults.made()
    asked = vaults.perform(Backup, backup.id, VerifyBackup())
    assert asked == [BackupVerificationRequested()]
    assert vaults.refused(VerifyBackup(), backup.id) == "already-done"
    vaults.append(backup, BackupFoundUnsound(reason="piece 3 was damaged"))
    found = vaults.backup(backup.id)
    assert (found.verifying, found.verified_at, found.sound) == (False, None, False)


@pytest.mark.parametrize(("minutes", "token"), [(5, "right"), (4, "wrong")])
def test_a_link_to_a_file_lives_for_five_minutes(minutes: int, token: str) -> None:
    vaults = Vaults()
    backup = vaults.made()
    vaults.offer(backup, "right")
    vaults.environment.time += timedelta(minutes=minutes)
    with pytest.raises(Unauthenticated):
        find_download(backup.id, token, vaults.uow())


def test_a_link_to_a_file_is_used_up_by_its_last_byte() -> None:
    vaults = Vaults()
    backup = vaults.made()
    vaults.offer(backup, "right")
    for _ in range(2):
        assert find_download(backup.id, "right", vaults.uow()).id == backup.id
    uow = vaults.uow()
    end_download(backup.id, "right", uow)
    assert names(vaults.keep(uow)) == ["BackupDownloaded"]
    with pytest.raises(Unauthenticated):
        find_download(backup.id, "right", vaults.uow())


def test_the_end_of_a_download_leaves_another_link_alone() -> None:
    vaults = Vaults()
    backup = vaults.made()
    vaults.offer(backup, "first")
    vaults.offer(backup, "second")
    uow = vaults.uow()
    end_download(backup.id, "first", uow)
    assert vaults.keep(uow) == []
    assert find_download(backup.id, "second", vaults.uow()).id == backup.id


def test_everything_that_leaves_the_house_has_one_switch() -> None:
    memory = Memory()

    def switch(*, enabled: bool) -> list[object]:
        uow = memory.uow()
        SwitchOutbound(enabled=enabled, reason="a drill").work(uow)
        return [*memory.keep(uow)]

    assert is_open(memory.uow()), "it is open where nobody ever touched it"
    assert switch(enabled=False) == [OutboundStopped(reason="a drill")]
    assert not is_open(memory.uow())
    assert switch(enabled=False) == []
    assert switch(enabled=True) == [OutboundResumed()]
    assert is_open(memory.uow())
