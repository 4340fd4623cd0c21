"""What counts as a fault of the answer."""

from ai2text.common.v1 import errors_pb2

from bench.fuzz.calls import Reaction
from bench.fuzz.cases import UNKNOWN, Case, Http
from bench.fuzz.methods import Method

NEVER = ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "NO_ANSWER")
"""Whatever is asked: UNAVAILABLE neither, since all parts are there and it was asked again."""
REASONS = {value.name.removeprefix("ERROR_REASON_") for value in errors_pb2.ErrorReason.DESCRIPTOR.values} - {
    "UNSPECIFIED",
    "INTERNAL",
}


TOO_LARGE = "larger than max"
"""gRPC itself refuses a message of more than a server takes, 64 MiB at most, before its code sees it, and so without a
reason of ours."""


def fault(method: Method, case: Case, reaction: Reaction) -> str:
    """What is wrong with the reaction, in words; empty when nothing is."""
    if reaction.left or (method.waits and reaction.code == "DEADLINE_EXCEEDED"):
        return ""
    if reaction.code in NEVER:
        return f"answered {reaction}"
    malformed = reaction.of_the_edge and reaction.code == "INVALID_ARGUMENT"  # so much that the edge reads no token
    if case.token in UNKNOWN and reaction.code != "UNAUTHENTICATED" and not malformed:
        return f"a caller whom nobody knows was answered {reaction}"
    if reaction.code == "OK":
        return "a caller without the scope was let in" if case.token == "powerless" else ""
    if reaction.of_the_edge:
        return _fault_of_the_edge(case, reaction)
    if reaction.code == "RESOURCE_EXHAUSTED" and TOO_LARGE in reaction.message:
        return ""
    if reaction.reason not in REASONS:
        return f"without a reason of the contract: {reaction}"
    return ""


def _fault_of_the_edge(case: Case, reaction: Reaction) -> str:
    if reaction.code == "DEADLINE_EXCEEDED":
        return "no answer in time"
    if reaction.code.startswith("HTTP ") and isinstance(case, Http) and int(reaction.code[5:]) >= 500:
        return f"answered {reaction}"
    return ""
