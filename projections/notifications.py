"""Templates, broadcasts and notifications as clients see them."""

from typing import Annotated

from projections.columns import Indexed, Key, Moment, Tags, UniqueWhile
from projections.tables import Row
from rim_ledger.notifications.email_template import EmailTemplate, TemplateType
from rim_ledger.notifications.sms_template import SmsTemplate
from rim_ledger.notifications.sms_text import Encoding


class EmailTemplateRow(Row, table="email_templates", of=EmailTemplate):
    """A template of e-mails; its body is HTML or text."""

    id: Key
    name: Annotated[str, UniqueWhile("NOT archived")]
    subject: str
    body: str
    variables: Tags
    type: Annotated[TemplateType, Indexed]
    enabled: Annotated[bool, Indexed]
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class SmsTemplateRow(Row, table="sms_templates", of=SmsTemplate):
    """A template of SMS, and what its message costs before values are filled in. `offending`
    are the characters that are not in GSM-7."""

    id: Key
    name: Annotated[str, UniqueWhile("NOT archived")]
    message: str
    variables: Tags
    encoding: Encoding
    units: int
    segments: int
    offending: Tags
    enabled: Annotated[bool, Indexed]
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment
