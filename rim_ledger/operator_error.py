"""The error that a command of the machine's operator ends with."""


class OperatorError(Exception):
    """The command cannot go on, for a reason that an operator can fix; the message says how."""
