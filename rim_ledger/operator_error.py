"""The error that a command of the machine's operator ends with."""


class OperatorError(Exception):
    """The command cannot go on, for a reason that an operator can fix; the message says how."""

    exit_code = 1
    """Of the command that ends with it."""
