"""Operators' commands on admins, run on the host: clear a lockout, reset a super-admin's access."""

import asyncio
import os
import pwd
import socket
from base64 import urlsafe_b64encode
from functools import partial

from pydantic import SecretStr

from api.cli.output import print_once
from api.config.database import fitting_database, open_ledger, open_vault
from api.config.settings import Settings
from rim_ledger.admin.admin_commands import ResetAccess
from rim_ledger.admin.login_throttle import LoginThrottle
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.environment import SystemEnvironment


def unlock(username: str) -> None:
    """Let somebody try again at once who failed too often to get in.

    :param username: The name that was tried.
    """
    settings = Settings.load()
    with fitting_database(settings) as url:
        print(f"failures forgotten: {asyncio.run(_forget(settings, url, username))}")


def reset(username: str) -> None:
    """Let a super-admin in again who lost password or second factor, and whom nobody else can help.

    Makes a new password, which is shown once, and takes the second factor away. Sessions and API
    keys end. The log tells it with the machine's user, and the other super-admins are alerted.
    Needs the master secret.

    :param username: The name that the super-admin logs in with.
    """
    settings = Settings.load()
    with fitting_database(settings) as url:
        asyncio.run(_reset(settings, url, username))
        asyncio.run(_forget(settings, url, username))
    print("the password is reset; the second factor, sessions and API keys are gone")


async def _reset(settings: Settings, url: str, username: str) -> None:
    environment = SystemEnvironment()
    # One of each class, whatever the security settings require.
    password = f"{urlsafe_b64encode(environment.random(24)).decode()}-aA1"
    command = await ResetAccess(password=SecretStr(password), operator=operator()).hashed()
    async with open_ledger(settings, url) as ledger:
        stamp = Stamp(at=environment.now(), actor=SYSTEM)
        await ledger.submit(partial(command.work, username), stamp)
    print_once(f"rim-ledger: the password of {username} is {password} (shown only once)")


async def _forget(settings: Settings, url: str, username: str) -> int:
    async with LoginThrottle(url, open_vault(settings, url), SystemEnvironment()) as attempts:
        return await attempts.forget(username)


def operator() -> str:
    """The operating system's user of this process (not from the environment) and the host name."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # In a container, a uid may have no name.
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"
