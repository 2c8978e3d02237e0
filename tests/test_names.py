"""Names that only one thing of a kind has, however they are spelled."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from rim_ledger.admin.admin_role import AdminRole, CreateRole, DeleteRole, EditRole
from rim_ledger.admin.permissions import permissions
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.product import LoanProduct
from rim_ledger.lending.product_commands import (
    ArchiveLoanProduct,
    CreateLoanProduct,
    UpdateLoanProduct,
)
from rim_ledger.notifications.template import (
    ArchiveEmailTemplate,
    ArchiveSmsTemplate,
    CreateEmailTemplate,
    CreateSmsTemplate,
    EmailTemplate,
    SmsTemplate,
    TemplateType,
)
from rim_ledger.support.department import Department
from rim_ledger.support.staff_commands import ArchiveDepartment, CreateDepartment, UpdateDepartment
from rim_ledger.values import Network
from tests.spec import Memory

NFC, NFD, LOUD, ROMAN = "Café Ⅷ", "Cafe\u0301 Ⅷ", "CAFÉ  VIII", "Café VIII"
Make = Callable[[str], Any]
READ = permissions([("users", "read")])


def product(name: str) -> CreateLoanProduct:
    return CreateLoanProduct(
        name=name,
        networks=(Network.MTN,),
        min_amount=Decimal(50),
        max_amount=Decimal(500),
        interest_rate=Decimal(15),
        repayment_period=14,
    )


MAKERS: list[tuple[type[Aggregate], Make, Any]] = [
    (Department, lambda name: CreateDepartment(name=name), ArchiveDepartment()),
    (LoanProduct, product, ArchiveLoanProduct()),
    (AdminRole, lambda name: CreateRole(name=name, permissions=READ), DeleteRole()),
    (SmsTemplate, lambda name: CreateSmsTemplate(name=name, message="Hi"), ArchiveSmsTemplate()),
    (
        EmailTemplate,
        lambda name: CreateEmailTemplate(
            name=name, subject="Hi", body="Hi", type=TemplateType.MARKETING
        ),
        ArchiveEmailTemplate(),
    ),
]


@pytest.mark.parametrize(("kind", "make", "archive"), MAKERS)
@pytest.mark.parametrize("other", [NFD, LOUD, ROMAN])
def test_a_name_is_taken_in_all_its_spellings(
    kind: type[Aggregate], make: Make, archive: Any, other: str
) -> None:
    memory = Memory()
    first, second = memory.environment.new_id(), memory.environment.new_id()
    memory.perform(kind, first, make(NFC))
    with pytest.raises(Refused) as refusal:
        memory.perform(kind, second, make(other))
    assert refusal.value.code.endswith("-name-taken")
    memory.perform(kind, first, archive)
    memory.perform(kind, second, make(other))


@pytest.mark.parametrize(
    ("kind", "make", "rename"),
    [
        (Department, MAKERS[0][1], lambda name: UpdateDepartment(name=name)),
        (LoanProduct, product, lambda name: UpdateLoanProduct(name=name)),
        (AdminRole, MAKERS[2][1], lambda name: EditRole(name=name)),
    ],
)
def test_a_name_that_was_changed_is_free_again(
    kind: type[Aggregate], make: Make, rename: Make
) -> None:
    memory = Memory()
    first, second = memory.environment.new_id(), memory.environment.new_id()
    memory.perform(kind, first, make(NFC))
    memory.perform(kind, second, make("Other"))
    with pytest.raises(Refused):
        memory.perform(kind, second, rename(NFD))
    memory.perform(kind, first, rename(LOUD))
    memory.perform(kind, first, rename("Third"))
    memory.perform(kind, second, rename(NFD))


def test_two_names_of_an_earlier_release_that_are_one_by_now_both_stay() -> None:
    """The older has the common form as well; see 0016_names.sql."""
    memory = Memory()
    first, second, third = (memory.environment.new_id() for _ in range(3))
    memory.perform(Department, first, CreateDepartment(name="Café"))
    memory.perform(Department, second, CreateDepartment(name="Other"))
    memory.perform(Department, second, UpdateDepartment(name="Café again"))
    department = memory.streams[second].aggregate
    assert isinstance(department, Department)
    memory.streams[second] = memory.streams[second].__class__(
        department.but(name="Cafe\u0301"), memory.streams[second].version
    )
    memory.claims["department-name", "café again"] = None
    memory.claims["department-name", "cafe\u0301"] = second

    memory.perform(Department, second, UpdateDepartment(name="CAFE\u0301", tier=2))
    memory.perform(Department, second, UpdateDepartment(name="Fourth"))
    with pytest.raises(Refused):
        memory.perform(Department, third, CreateDepartment(name="Cafe\u0301"))
    memory.perform(Department, first, ArchiveDepartment())
    memory.perform(Department, third, CreateDepartment(name="Cafe\u0301"))
