"""What a request holds too many of: it may be counted, and nothing else."""

from typing import Any


class Unread:
    """So many items that nobody may look at."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Any:
        raise AssertionError("it was read before it was counted")
