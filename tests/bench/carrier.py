"""`rim-ledger clock`, but that its messages cost nothing: what is measured is all the rest."""

from api.cli import main
from api.config import delivery
from rim_ledger.delivery.port import Message, Outcome, Verdict


class Free:
    """Takes every message at once."""

    def __init__(self, *_: object) -> None: ...

    async def send(self, order: Message) -> Outcome:
        """It has gone."""
        return Outcome(Verdict.ACCEPTED)

    async def query(self, reference: str) -> Outcome:
        return Outcome(Verdict.ACCEPTED)


if __name__ == "__main__":
    delivery.Outbox = Free
    main.main()
