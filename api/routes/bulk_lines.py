"""The lines of a bulk file: a command each, and the answer to one that came to nothing."""

import re
from typing import Annotated, Any, Final

from msgspec import Struct, field
from pydantic import Field

from api.context import Context
from api.http import problem
from api.http.body import BODY_MAX, read_json
from api.http.call import Call
from api.http.problem import TooLarge
from api.http.query import read_parameters
from api.pipeline.background import problem_line
from api.pipeline.commands import command_request, read_as
from api.pipeline.routes import CommandRequest, Route
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Invalid

OP: Final = re.compile(r"(POST|PATCH|PUT|DELETE) (/[!-~]{1,500})")


class Line(Form):
    """One command, as a single request would give it."""

    op: Annotated[str, Field(examples=["POST /v1/users"])]
    key: str | None = None
    body: Any = None
    version: Annotated[int, Field(ge=1)] | None = None


class Progress(Struct):
    """How many lines were read, and how many of them were carried out."""

    read: int = 0
    done: int = 0

    def __str__(self) -> str:
        return f"; of {self.read} lines that were read {self.done} were carried out"


class Sender(Struct, frozen=True):
    """Who sends the lines."""

    context: Context
    call: Call
    progress: Progress = field(default_factory=Progress)

    def read(self, text: bytes) -> CommandRequest:
        """The command in a line; Refused when there is none."""
        if len(text) > BODY_MAX:
            raise TooLarge("body-too-large", f"A line has at most {BODY_MAX} bytes.")
        line = read_as(Line, read_json(text))
        if (op := OP.fullmatch(line.op)) is None:
            raise Invalid("invalid-op", "An op is a method and a path.", "/op")
        path, _, query = op[2].partition("?")
        endpoint, parameters = self.context.table.find(op[1], path)
        if not isinstance(route := endpoint.route, Route) or route.answer:
            raise Invalid("invalid-op", "This op is no command.", "/op")
        read_parameters(query.encode(), {})
        return command_request(
            self.context,
            self.call,
            route,
            parameters,
            {} if line.body is None else line.body,
            op=line.op,
            key=line.key,
            versions=None if line.version is None else frozenset([line.version]),
        )

    def failed(self, number: int, error: Exception) -> bytes:
        """The answer to a line that came to nothing."""
        said = problem_line(self.context, self.call, error)
        answer = {"line": number, "status": said["status"], "problem": said}
        if getattr(error, "replayed", False):
            answer["replayed"] = True
        return problem.encoded(answer) + b"\n"
