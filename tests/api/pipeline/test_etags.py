"""If-Match as RFC 9110 has it: any, or a list of entity tags, compared strongly."""

import pytest

from api.pipeline.commands import versions_in
from tests.api.conftest import ADA, Client


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        (None, None),
        ("*", None),
        (" * ", None),
        ('"1"', {1}),
        ('"1", "2"', {1, 2}),
        (',, "1" ,,"2", ', {1, 2}),
        ('W/"1"', set()),
        ('W/"1", "2"', {2}),
        ('"01"', set()),
        ('"abc"', set()),
        ('""', set()),
        ('"1,2"', set()),
        ('"9999999999999999999"', set()),
    ],
)
def test_a_list_of_tags_names_versions(header: str | None, versions: set[int] | None) -> None:
    assert versions_in(header) == versions


@pytest.mark.parametrize(
    "header",
    ["", "1", '"1"x', 'x"1"', '"1" "2"', '"1""2"', '"1', "'1'", '*, "1"', 'w/"1"', 'W/ "1"']
    + ['"1";q=1', ",", '"a\x7fb"', '", ' * 500],
)
def test_what_is_no_list_of_tags_names_no_version(header: str) -> None:
    assert versions_in(header) == set()


async def test_a_command_with_another_tag_changes_nothing(admin: Client) -> None:
    user = (await admin.post("/v1/users", ADA)).json()["id"]
    path, body = f"/v1/users/{user}/suspend", {"reason": "to see"}
    for header, status in [('"1"x', 412), ('W/"1"', 412), ('"2"', 412), ('"7", "1"', 200)]:
        answer = await admin.post(path, body, headers={"If-Match": header})
        assert answer.status_code == status, header
