"""Columns of airtime floats and settlements."""

from typing import Final

MEANINGS: Final[dict[str, str]] = {
    # Airtime floats.
    "floats.network": "Mobile network whose float it is.",
    "floats.balance": "Airtime that was bought and not yet sent.",
    "low": "Whether the float fell below its low mark, and is not back yet.",
    "FloatToppedUp.amount": "Airtime that was bought.",
    "FloatToppedUp.cost": "What was paid for it.",
    "FloatToppedUp.reference": "The telco's reference of the purchase.",
    "FloatAdjusted.amount": "By how much the float was set right; less if below zero.",
    "FloatMoved.amount": "Airtime that left the float, if below zero, or came back.",
    "FloatBecameLow.balance": "Airtime that the float had then.",
    "mark": "Naira below which the float is low.",
    "FloatOpened.amount": "What its account in the journal was set off by.",
    "reserved": "Airtime that is in transit from a tracked float.",
    "earlier": "Whether the airtime was bought before the float was tracked.",
    # Settlements.
    "settlements.provider": "Provider, spelled as its account is.",
    "SettlementRecorded.provider": "Provider, spelled as its account is.",
    "ClearingSettled.provider": "Provider, spelled as its account is.",
    "gross": "What the provider paid out, before its fee.",
    "SettlementRecorded.fee settlements.fee": "What the provider kept.",
    "settlement_id": "Settlement that paid it out.",
    "net": "What reached the bank.",
    "SettlementRecorded.reference settlements.reference": "The provider's reference of the payout.",
    "SettlementRecorded.date settlements.date": "Lagos day of the payout.",
    # Due notices.
    "DueNoticeSent.day": "Days after the due day; before it if below zero.",
    "Notice.loan_id": "Loan that a due notice is about.",
}
