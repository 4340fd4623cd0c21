"""The fields of the contract by their names, and which of them a test is about."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from google.protobuf import descriptor
from google.protobuf.message import Message

Test = TypeVar("Test", bound=Callable[..., Awaitable[None]])


class Changed(set[str]):
    """The fields that the tests of a module are about."""

    def by(self, *fields: str) -> Callable[[Test], Test]:
        """Marks a test in which these fields change the result."""

        def mark(test: Test) -> Test:
            self.update(fields)
            return test

        return mark


def fields_of(messages: Iterable[descriptor.Descriptor]) -> set[str]:
    """The fields of messages of ours and of those in them, by the names of the messages that have them."""
    names: set[str] = set()
    for message in messages:
        for field in message.fields:
            name = f"{message.name}.{field.name}"
            if name not in names and message.full_name.startswith("ai2text."):
                names.add(name)
                names |= fields_of([field.message_type] if field.message_type is not None else [])
    return names


def set_fields(message: Message) -> Iterator[str]:
    """Those that are set in a message, and in those in it."""
    for field, value in message.ListFields():
        yield f"{message.DESCRIPTOR.name}.{field.name}"
        if field.message_type is None or not field.message_type.full_name.startswith("ai2text."):
            continue
        for part in value if field.is_repeated else [value]:
            yield from set_fields(part)
