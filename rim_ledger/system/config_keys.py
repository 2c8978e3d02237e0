"""The known settings: meaning, default and range of each."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from rim_ledger.values import Network


class Known(Struct, frozen=True):
    """A known setting: its meaning, its default, and the range of a number."""

    description: str
    default: bool | int | Decimal | tuple[int, ...]
    least: int = 0
    most: int = 0
    places: int = 0
    lapses: bool = False
    """Whether a lower value in days takes effect only after the former value has passed."""
    looks: str = ""
    """The kind of reminders that are brought forward when it changes."""
    beside: tuple[str, ...] = ()
    """Kinds of reminders: each stream that has one gets one of the former kind as well."""


def _naira(description: str, default: int = 0, most: int = 100_000_000) -> Known:
    return Known(description, Decimal(default), 0, most, places=2)


def _percent(description: str, default: int, most: int = 1000) -> Known:
    return Known(description, Decimal(default), 0, most, places=6)


KNOWN: Final[dict[tuple[str, str], Known]] = {
    ("lending", "interestRate"): _percent(
        "Interest of a loan in percent of its amount, when the request names none.", 15
    ),
    ("lending", "repaymentPeriod"): Known(
        "Days from disbursement to the due date, when the request names none.", 30, 1, 365
    ),
    ("lending", "maxOpenLoans"): Known("Unfinished loans that a user may have.", 3, 1, 100),
    ("lending", "autoApprove"): Known("Whether good requests are approved at once.", default=False),
    ("lending", "autoDisburse"): Known(
        "Whether an approved loan is disbursed without being asked for.", default=False
    ),
    ("lending", "autoApproveMinScore"): Known(
        "Lowest credit score that is approved automatically.", 650, 0, 1000
    ),
    ("lending", "autoApproveMaxAmount"): _naira(
        "Largest amount in naira that is approved automatically.", 5000
    ),
    ("lending", "defaultAfterDays"): Known("Days past due until a loan defaults.", 30, 1, 3650),
    ("lending", "lateFee"): _naira(
        "Naira that the clock charges once to a loan that is past due; 0 is off. What is set when"
        " the loan falls overdue decides whether it is.",
    ),
    ("lending", "lateFeeGraceDays"): Known(
        "Days past due until the late fee is charged.", 3, 0, 3650
    ),
    ("lending", "lateFeeMaxPercent"): _percent(
        "Fees that a loan is charged in all, by the clock and by hand, in percent of its amount at"
        " most.",
        10,
    ),
    ("lending", "vatRate"): _percent(
        "VAT in percent that the agreed fee of a loan contains, as set at its disbursement.", 0, 100
    ),
    ("lending", "maxReschedules"): Known("Times that a loan may be rescheduled.", 1, 0, 100),
    ("lending", "maxRescheduleDays"): Known(
        "Days after its original due date to which a loan may be rescheduled at most.", 30, 1, 3650
    ),
    ("lending", "writeOffAfterDays"): Known(
        "Days past due until a defaulted loan is written off automatically; 0 is never.",
        0,
        0,
        3650,
        looks="write-off",
    ),
    **{
        ("lending", f"floatLow.{network}"): _naira(
            f"Naira below which the tracked airtime float of {network} is low; 0 is off.",
            most=1_000_000_000,
        )
        for network in Network
    },
    ("lending", "dueNotices"): Known(
        "Days after the due day, or before it if below zero, on which a borrower who still owes is"
        " sent a notice, such as [-1, 0, 3, 7]; an empty list is off.",
        (),
        -365,
        365,
        looks="due-notice",
        beside=("overdue", "default", "write-off"),
    ),
    ("security", "separationDays"): Known(
        "Days in which an admin who registered a borrower, changed contact, limit or score, or"
        " imported loans of theirs, neither approves nor disburses for them. A lower number holds"
        " once the former has passed.",
        30,
        1,
        365,
        lapses=True,
    ),
    ("security", "proposalHours"): Known(
        "Hours that a proposal waits for a decision; then it expires.", 72, 1, 8760
    ),
    ("support", "firstResponseHours"): Known(
        "Hours until an agent shall have answered a ticket.", 4, 1, 8760
    ),
    ("support", "resolutionHours"): Known(
        "Hours until a ticket shall be resolved, from when it was opened or reopened.", 48, 1, 8760
    ),
    ("quotas", "borrowerFilesPerDay"): Known(
        "Files that a borrower may add to tickets in a day.", 30, 1, 100_000
    ),
    ("quotas", "borrowerMebibytesPerDay"): Known(
        "MiB of files that a borrower may add to tickets in a day.", 50, 1, 1_000_000
    ),
    ("quotas", "borrowerTicketsPerDay"): Known(
        "Tickets that a borrower may open in a day.", 20, 1, 100_000
    ),
    ("quotas", "borrowerMessagesPerTicketPerDay"): Known(
        "Messages that a borrower may post on one ticket in a day.", 100, 1, 100_000
    ),
    ("quotas", "staffFilesPerDay"): Known(
        "Files that one member of staff may add to tickets in a day.", 1_000, 1, 1_000_000
    ),
    ("quotas", "staffMebibytesPerDay"): Known(
        "MiB of files that one member of staff may add to tickets in a day.", 2_000, 1, 1_000_000
    ),
    ("quotas", "staffTicketsPerDay"): Known(
        "Tickets that one member of staff may open in a day.", 10_000, 1, 1_000_000
    ),
    ("quotas", "staffMessagesPerTicketPerDay"): Known(
        "Messages that one member of staff may post on one ticket in a day.", 1_000, 1, 100_000
    ),
    ("notifications", "smsPerSecond"): Known(
        "SMS that are handed over in a second, by all processes together.", 50, 1, 10_000
    ),
    ("notifications", "emailPerSecond"): Known(
        "E-mails that are handed over in a second, by all processes together.", 50, 1, 10_000
    ),
}
