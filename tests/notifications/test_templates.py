"""Templates: variables and nothing else, values that cannot break out, what an SMS costs."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given as when_given
from hypothesis import strategies as st
from pydantic import ValidationError

from rim_ledger.engine.refusals import Invalid, Refused
from rim_ledger.notifications.sms_text import GSM_7, measured
from rim_ledger.notifications.template import (
    ArchiveEmailTemplate,
    ArchiveSmsTemplate,
    CreateEmailTemplate,
    CreateSmsTemplate,
    DisableEmailTemplate,
    DisableSmsTemplate,
    EmailTemplate,
    EmailTemplateArchived,
    EmailTemplateChanged,
    EmailTemplateDisabled,
    EmailTemplateEnabled,
    EnableEmailTemplate,
    EnableSmsTemplate,
    SmsTemplate,
    SmsTemplateArchived,
    SmsTemplateChanged,
    SmsTemplateDisabled,
    SmsTemplateEnabled,
    TemplateType,
    UpdateEmailTemplate,
    UpdateSmsTemplate,
)
from tests.spec import Memory, given

WELCOME = CreateEmailTemplate(
    name="welcome",
    subject="Welcome, {{name}}",
    body="<p>Dear {{ name }}, you may borrow {{limit}}.</p>",
    variables=["name", "limit"],
    type=TemplateType.NOTIFICATION,
)
DUE = CreateSmsTemplate(name="due", message="{{name}}, your loan is due.", variables=["name"])


def email(**fields: Any) -> CreateEmailTemplate:
    return CreateEmailTemplate.model_validate(WELCOME.model_dump() | fields)


def refusal(wish: Any) -> Refused:
    memory = Memory()
    with pytest.raises(Refused) as refused:
        kind = SmsTemplate if isinstance(wish, CreateSmsTemplate) else EmailTemplate
        memory.perform(kind, memory.environment.new_id(), wish)
    return refused.value


def template(wish: CreateEmailTemplate | CreateSmsTemplate) -> Any:
    memory = Memory()
    stream = memory.environment.new_id()
    kind = SmsTemplate if isinstance(wish, CreateSmsTemplate) else EmailTemplate
    memory.perform(kind, stream, wish)
    return memory.uow().read(kind, stream)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("{{7*7}}", "{{ at character 1"),
        ("Hi {{name.__class__}} {{limit}}", "{{ at character 4"),
        ("{% for x in y %}{{name}}{{limit}}", "{% at character 1"),
        ("{{name}}{{limit}}{# no #}", "{# at character 18"),
        ("{{name}}{{limit}}}}", "}} at character 18"),
        ("{{name}}{{limit}}{{'a'*100000000}}", "{{ at character 18"),
        ("{{name}}{{limit}}{{na\nme}}", "{{ at character 18"),
        ("{{name}}{{limit}}{{\uff4eame}}", "{{ at character 18"),
    ],
)
def test_what_is_no_plain_variable_is_refused_with_its_place(body: str, place: str) -> None:
    refused = refusal(email(body=body))
    assert (refused.code, refused.more) == ("not-a-variable", {"pointer": "/body"})
    assert refused.detail.startswith(place)


def test_every_variable_is_declared_and_stands_somewhere() -> None:
    undeclared = refusal(email(body="{{name}} {{limit}} {{date}}"))
    assert (undeclared.code, undeclared.more["pointer"]) == ("undeclared-variable", "/body")
    assert "character 20" in undeclared.detail
    unused = refusal(email(body="no limit"))
    assert (unused.code, unused.more["pointer"]) == ("unused-variable", "/variables/1")
    with pytest.raises(ValidationError, match="named once"):
        CreateSmsTemplate(name="twice", message="{{a}}", variables=["a", "a"])


def test_values_are_escaped_in_bodies_and_cannot_break_a_subjects_line() -> None:
    letter = template(WELCOME).filled(
        {"name": "<b>O'Neil</b>\r\nBcc: all@rim.example", "limit": "{{name}}"}
    )
    assert letter.subject == "Welcome, <b>O'Neil</b> Bcc: all@rim.example"
    assert "<p>Dear &lt;b&gt;O&#x27;Neil&lt;/b&gt;" in letter.body
    assert "borrow {{name}}." in letter.body, "what stands in a value is never looked at"


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\v", "\f"])
def test_an_sms_and_a_subject_are_one_line_whatever_breaks_it(break_: str) -> None:
    sms = template(CreateSmsTemplate(name="a", message=f"one{break_}{{{{x}}}}", variables=["x"]))
    assert sms.filled({"x": f"two{break_}three"}) == "one two three"
    assert template(email(subject=f"Dear{break_}{{{{name}}}}")).subject == "Dear {{name}}"


@pytest.mark.parametrize("values", [{}, {"name": ""}, {"name": " \n"}])
def test_a_missing_value_is_refused_and_never_a_blank(values: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="needs a value") as refused:
        template(DUE).filled(values)
    assert (refused.value.code, refused.value.more) == (
        "missing-value",
        {"pointer": "/values/name"},
    )


def test_a_value_that_the_template_does_not_know_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        template(DUE).filled({"name": "Ada", "amount": "5"})
    assert refused.value.more == {"pointer": "/values/amount"}


def test_a_message_cannot_grow_without_bound() -> None:
    long = template(email(body="{{name}}" * 6000 + "{{limit}}"))
    tracemalloc.start()
    with pytest.raises(Refused) as refused:
        long.filled({"name": "&" * 1000, "limit": "1"})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.code == "message-too-long"
    assert most < 10_000_000, "it is refused before it is made"


def test_a_template_changes_but_for_its_name_and_is_checked_again() -> None:
    changed = EmailTemplateChanged(subject="Hello {{name}}", type=TemplateType.MARKETING)
    wish = UpdateEmailTemplate(subject="Hello {{name}}", body=WELCOME.body, type=changed.type)
    given(EmailTemplate, WELCOME).when(wish).then(changed)
    given(EmailTemplate, WELCOME).when(UpdateEmailTemplate(subject=WELCOME.subject)).then()
    given(EmailTemplate, WELCOME).when(UpdateEmailTemplate(body="none")).refused("unused-variable")
    with pytest.raises(ValidationError):
        UpdateEmailTemplate.model_validate({"name": "other"})
    told = SmsTemplateChanged(message="{{who}}!", variables=("who",))
    given(SmsTemplate, DUE).when(UpdateSmsTemplate(message="{{who}}!", variables=["who"])).then(
        told
    )
    given(SmsTemplate, DUE).when(UpdateSmsTemplate(variables=[])).refused("undeclared-variable")
    given(SmsTemplate, DUE).when(UpdateSmsTemplate(message=DUE.message)).then()


def test_a_template_is_enabled_disabled_and_put_away_once() -> None:
    off, on, away = DisableEmailTemplate(), EnableEmailTemplate(), ArchiveEmailTemplate()
    given(EmailTemplate, WELCOME).when(on).refused("already-done")
    given(EmailTemplate, WELCOME).when(off).then(EmailTemplateDisabled())
    given(EmailTemplate, WELCOME, off).when(off).refused("already-done")
    given(EmailTemplate, WELCOME, off).when(on).then(EmailTemplateEnabled())
    given(EmailTemplate, WELCOME).when(away).then(EmailTemplateArchived())
    given(EmailTemplate, WELCOME, away).when(on).refused("already-done")
    given(SmsTemplate, DUE).when(EnableSmsTemplate()).refused("already-done")
    given(SmsTemplate, DUE).when(DisableSmsTemplate()).then(SmsTemplateDisabled())
    given(SmsTemplate, DUE, DisableSmsTemplate()).when(EnableSmsTemplate()).then(
        SmsTemplateEnabled()
    )
    given(SmsTemplate, DUE).when(ArchiveSmsTemplate()).then(SmsTemplateArchived())
    given(SmsTemplate, DUE, ArchiveSmsTemplate()).when(UpdateSmsTemplate()).refused("already-done")


def test_a_name_is_one_templates_until_that_is_put_away() -> None:
    memory = Memory()
    first, second = memory.environment.new_id(), memory.environment.new_id()
    memory.perform(EmailTemplate, first, WELCOME)
    with pytest.raises(Refused, match="Another template is named WELCOME"):
        memory.perform(EmailTemplate, second, email(name="WELCOME"))
    memory.perform(
        SmsTemplate, memory.environment.new_id(), DUE.model_copy(update={"name": "welcome"})
    )
    memory.perform(EmailTemplate, first, ArchiveEmailTemplate())
    memory.perform(EmailTemplate, second, email(name="WELCOME"))


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments", "offending"),
    [
        ("a" * 160, "GSM-7", 160, 1, ()),
        ("a" * 161, "GSM-7", 161, 2, ()),
        ("a" * 306, "GSM-7", 306, 2, ()),
        ("a" * 307, "GSM-7", 307, 3, ()),
        ("[" * 80, "GSM-7", 160, 1, ()),
        ("€[]{}^~|\\", "GSM-7", 18, 1, ()),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3, ()),
        ("₦" + "a" * 69, "UCS-2", 70, 1, ("₦",)),
        ("₦" + "a" * 70, "UCS-2", 71, 2, ("₦",)),
        ("“due” ₦", "UCS-2", 7, 1, ("“", "”", "₦")),
        ("😀" * 35, "UCS-2", 70, 1, ("😀",)),
        ("a" * 66 + "😀" + "a" * 66, "UCS-2", 134, 3, ("😀",)),
    ],
)
def test_what_an_sms_costs(
    text: str, encoding: str, units: int, segments: int, offending: tuple[str, ...]
) -> None:
    cost = measured(text)
    assert (cost.encoding, cost.units, cost.segments) == (encoding, units, segments)
    assert cost.offending == offending


def test_the_basic_table_has_its_127_characters_and_one_escape_besides() -> None:
    assert len(GSM_7) == 127


@when_given(st.text(max_size=500))
def test_segments_hold_every_unit_and_no_more_than_they_must(text: str) -> None:
    cost = measured(text)
    alone, several = (70, 67) if cost.offending else (160, 153)
    if cost.units <= alone:
        assert cost.segments == 1
    else:
        assert -(-cost.units // several) <= cost.segments <= -(-cost.units // (several - 1))


def test_an_sms_template_has_160_characters_at_most() -> None:
    CreateSmsTemplate(name="long", message="a" * 160)
    with pytest.raises(ValidationError):
        CreateSmsTemplate(name="too long", message="a" * 161)


@pytest.mark.parametrize("blank", ["", "  ", "\r\n"])
def test_a_template_says_something(blank: str) -> None:
    with pytest.raises(ValidationError):
        CreateSmsTemplate(name="nothing", message=blank)
    for field in ("subject", "body"):
        with pytest.raises(ValidationError):
            email(**{field: blank})
