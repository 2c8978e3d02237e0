"""Departments and agents: names, tiers, and who may leave."""

from rim_ledger.admin.admin_commands import EditAdmin
from rim_ledger.admin.admin_user import AdminContactChanged, AdminUser
from rim_ledger.support.department import (
    Department,
    DepartmentArchived,
    DepartmentChanged,
    DepartmentJoined,
    DepartmentLeft,
)
from rim_ledger.support.staff_commands import (
    ArchiveDepartment,
    CreateAgent,
    CreateDepartment,
    RetireAgent,
    SetAvailability,
    UpdateAgent,
    UpdateDepartment,
)
from rim_ledger.support.support_agent import (
    AgentAvailabilityChanged,
    AgentMoved,
    AgentRetired,
    AgentStatus,
    AgentTierChanged,
    SupportAgent,
    agent_stream,
)
from rim_ledger.support.ticket_workflow import AssignTicket, ResolveTicket
from tests.lending.desk import refused
from tests.spec import given, names
from tests.support.desk import SupportDesk

CARDS = CreateDepartment(name="Cards", description="All cards.")


def test_a_department_is_changed_field_by_field() -> None:
    given(Department, CARDS).when(UpdateDepartment(description="")).then(
        DepartmentChanged(description="")
    )
    given(Department, CARDS).when(UpdateDepartment(name="Chips", tier=2)).then(
        DepartmentChanged(name="Chips", tier=2)
    )
    given(Department, CARDS).when(UpdateDepartment(name="Cards", tier=1)).then()


def test_an_archived_department_stays_as_it_is() -> None:
    given(Department, CARDS).when(ArchiveDepartment()).then(DepartmentArchived())
    for command in (ArchiveDepartment(), UpdateDepartment(tier=2)):
        given(Department, CARDS, ArchiveDepartment()).when(command).refused("already-done")


def test_a_name_belongs_to_one_department_until_it_is_archived_or_renamed() -> None:
    desk = SupportDesk()
    cards = desk.department("Cards")
    assert refused(lambda: desk.department("CARDS")) == "department-name-taken"
    rename = UpdateDepartment(name="billing")
    assert refused(lambda: desk.perform(Department, cards, rename)) == "department-name-taken"
    desk.perform(Department, cards, UpdateDepartment(name="Chips"))
    other = desk.department("Cards")
    desk.perform(Department, other, ArchiveDepartment())
    desk.department("Cards")


def test_a_department_with_agents_is_not_archived() -> None:
    desk = SupportDesk()
    archive = ArchiveDepartment()
    refusal = refused(lambda: desk.perform(Department, desk.billing, archive))
    assert refusal == "department-has-agents"
    assert desk.uow().read(Department, desk.billing).agent_count == 4


def test_an_agents_tier_is_at_least_the_departments() -> None:
    desk = SupportDesk()
    high = desk.department("Experts", tier=3)
    assert refused(lambda: desk.agent("eve", tier=2, department=high)) == "tier-too-low"
    raised = UpdateDepartment(tier=2)
    assert refused(lambda: desk.perform(Department, desk.billing, raised)) == "tier-too-low"
    ann = agent_stream(desk.ann)
    move = UpdateAgent(department=high)
    assert refused(lambda: desk.perform(SupportAgent, ann, move)) == "tier-too-low"
    said = desk.perform(SupportAgent, ann, UpdateAgent(department=high, tier=3))
    assert said == [
        DepartmentLeft(agent_id=desk.ann),
        AgentMoved(department=high),
        AgentTierChanged(tier=3),
        DepartmentJoined(agent_id=desk.ann, tier=3),
    ]
    assert desk.perform(SupportAgent, ann, UpdateAgent(tier=3)) == []
    assert desk.uow().read(Department, high).agents == {desk.ann: 3}


def test_an_agent_is_an_admin_once_and_in_a_department_that_is_there() -> None:
    desk = SupportDesk()

    def create(admin: object, department: object) -> str:
        wish = CreateAgent(id=admin, department=department)  # type: ignore[arg-type]
        return refused(lambda: desk.perform(SupportAgent, desk.environment.new_id(), wish))

    assert create(desk.environment.new_id(), desk.billing) == "unknown-admin"
    assert create(desk.ann, desk.billing) == "already-exists"
    assert create(desk.lead, desk.environment.new_id()) == "unknown-department"
    assert desk.profile(desk.ann).id == desk.ann


def test_an_agent_has_a_phone_and_keeps_one() -> None:
    desk = SupportDesk()
    eve = desk.admin("eve", phone=None)
    wish = CreateAgent(id=eve, department=desk.billing)
    assert refused(lambda: desk.perform(SupportAgent, eve, wish)) == "agent-without-phone"
    without = EditAdmin(phone=None)
    assert refused(lambda: desk.perform(AdminUser, desk.ann, without)) == "agent-without-phone"
    other = "+2348031234569"
    (changed,) = desk.perform(AdminUser, desk.ann, EditAdmin(phone=other))
    assert isinstance(changed, AdminContactChanged)
    assert changed.phone == other
    desk.perform(SupportAgent, agent_stream(desk.ann), RetireAgent())
    (cleared,) = desk.perform(AdminUser, desk.ann, without)
    assert cleared == AdminContactChanged(cleared=("phone",))
    assert desk.perform(AdminUser, desk.ann, without) == []


def test_an_admin_who_becomes_an_agent_brings_the_tickets_they_have() -> None:
    desk = SupportDesk()
    desk.assigned(desk.lead)
    wish = CreateAgent(id=desk.lead, department=desk.billing, tier=3)
    desk.perform(SupportAgent, desk.lead, wish)
    assert desk.profile(desk.lead).active_tickets == 1


def test_an_agent_with_tickets_does_not_retire() -> None:
    desk = SupportDesk()
    ticket, ann = desk.assigned(desk.ann), agent_stream(desk.ann)
    retire = RetireAgent()
    assert refused(lambda: desk.perform(SupportAgent, ann, retire)) == "agent-has-tickets"
    desk.ask(desk.ann, ticket, ResolveTicket(resolution="done"))
    said = desk.perform(SupportAgent, ann, retire)
    assert said == [DepartmentLeft(agent_id=desk.ann), AgentRetired()]
    for command in (retire, UpdateAgent(tier=2), SetAvailability(status=AgentStatus.AVAILABLE)):
        again = refused(lambda c=command: desk.perform(SupportAgent, ann, c))  # type: ignore[misc]
        assert again == "already-done"


def test_agents_set_their_own_availability_and_leads_anybodys() -> None:
    desk = SupportDesk()
    ann, busy = agent_stream(desk.ann), SetAvailability(status=AgentStatus.BUSY)
    said = desk.ask(desk.ann, ann, busy, SupportAgent)
    assert said == [AgentAvailabilityChanged(status=AgentStatus.BUSY)]
    assert desk.ask(desk.lead, ann, busy, SupportAgent) == []
    refusal = refused(lambda: desk.ask(desk.bob, ann, busy, SupportAgent))
    assert refusal == "forbidden"


def test_a_busy_agent_is_given_tickets_by_people_only() -> None:
    desk = SupportDesk()
    busy = SetAvailability(status=AgentStatus.BUSY)
    desk.ask(desk.ann, agent_stream(desk.ann), busy, SupportAgent)
    said = desk.ask(desk.lead, desk.open(), AssignTicket(assigned_to=desk.ann))
    assert names(said) == ["TicketAssigned", "AgentTicketTaken"]
