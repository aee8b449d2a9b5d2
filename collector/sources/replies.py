"""Replies of a Modbus device: which one answers a question, and what else may come instead.

reply ──▶ function, length as asked? ──▶ values
              └── an exception (the line is up) │ a wrong reply (refused) │ silence │ a broken line
"""

from dataclasses import dataclass

from domain.errors import SourceError

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity",
    10: "gateway path unavailable",
    11: "gateway target silent",
}
BUSY = 6
NOT_IN_ONE = (2, 3)  # an address in it is not the device's, or it is more than the device gives at once
GATEWAY_CODES = (10, 11)


class ExceptionReplyError(SourceError):
    """The device answered that it can't give what was asked: the line is up."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}, {EXCEPTIONS.get(code, 'unknown')}")
        self.code = code


class SilentError(SourceError):
    """No reply within the time-out."""


class WrongReplyError(SourceError):
    """A whole reply came, but not the one to this question: refused."""


class BrokenLineError(SourceError):
    """The connection is gone, or what came over it is no Modbus."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, for checking the reply: ``size`` is the bytes of values that a sound one carries."""

    transaction: int
    unit: int
    function: int
    size: int


def values_in(pdu: bytes, question: Question) -> bytes:
    """The bytes of values in a reply, if it is the one to this question.

    Raises ExceptionReplyError or WrongReplyError.
    """
    if pdu[0] == question.function | 0x80 and len(pdu) == 2:
        raise ExceptionReplyError(pdu[1])
    if pdu[0] != question.function:
        raise WrongReplyError(f"reply of function {pdu[0]} to function {question.function}")
    if len(pdu) != 2 + question.size or pdu[1] != question.size:
        raise WrongReplyError(f"reply of {len(pdu) - 2} bytes where {question.size} were asked for")
    return pdu[2:]
