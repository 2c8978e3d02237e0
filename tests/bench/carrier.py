"""`rim-ledger clock`, but that its messages cost nothing: what is measured is all the rest."""

from api.installation import outbox
from api.process import cli
from rim_ledger.sending import Heard, Message


class Free:
    """Takes every message at once."""

    def __init__(self, *_: object) -> None: ...

    async def send(self, message: Message) -> None:
        """It has gone."""

    async def ask(self, reference: str) -> Heard:
        return Heard.SENT


if __name__ == "__main__":
    outbox.Outbox = Free
    cli.main()
