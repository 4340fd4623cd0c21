"""What the comments of a contract say of its parts."""

import re
from typing import Any

from google.protobuf import descriptor_pb2

LINK = re.compile(r"\[([\w.]+)\]\[[\w.]+\]")
"""As Google's comments have them: `[Operation][google.longrunning.Operation]`."""
NAMED = {"message_type", "nested_type", "enum_type", "field", "value", "service", "method"}


class Comments:
    """The comments of a contract by the full name of what they describe."""

    def __init__(self, files: list[descriptor_pb2.FileDescriptorProto]) -> None:
        self._texts: dict[str, str] = {}
        for file in files:
            for location in file.source_code_info.location:
                if location.leading_comments and (name := _full_name(file, list(location.path))):
                    self._texts[name] = _prose(location.leading_comments)

    def of(self, full_name: str) -> dict[str, str]:
        """`{"description": ...}`, or nothing when there is no comment."""
        return {"description": self._texts[full_name]} if full_name in self._texts else {}


def _full_name(file: descriptor_pb2.FileDescriptorProto, path: list[int]) -> str:
    """The name at the end of a source path, which alternates field numbers and indices; "" for what has none."""
    node: Any = file
    names = [file.package]
    for number, index in zip(path[::2], path[1::2], strict=False):
        list_name = node.DESCRIPTOR.fields_by_number[number].name
        if list_name not in NAMED:
            return ""
        node = getattr(node, list_name)[index]
        names.append(node.name)
    return ".".join(names) if len(path) % 2 == 0 else ""


def _prose(comment: str) -> str:
    """Lines joined into paragraphs; list items keep their lines. Links to names of a contract become the names."""
    text = "\n".join(line.strip() for line in comment.splitlines()).strip()
    return LINK.sub(r"`\1`", re.sub(r"(?<!\n)\n(?![\n-])", " ", text))
