"""The listening socket."""

import os
import socket
from typing import Final

from api.config.settings import Settings
from rim_ledger.operator_error import OperatorError

BACKLOG: Final = 2048
"""Maximum of connections waiting to be accepted."""


def listen(settings: Settings) -> socket.socket:
    """Open the socket that the settings name. Raises OperatorError if that fails."""
    where = f"{settings.host}:{settings.port}"
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise OperatorError(
            f"RIM_HOST {settings.host} is no address of this machine: {error}"
        ) from error
    family, *_, address = found[0]
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise OperatorError(f"cannot listen on {where}: {reason}; set another RIM_PORT") from error


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
