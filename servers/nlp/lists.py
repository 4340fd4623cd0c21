"""Lists of words and phrases as their authors write them."""


def listed(words: str) -> frozenset[str]:
    """The words of a list with spaces between them."""
    return frozenset(words.split())


def phrases(lines: str) -> frozenset[tuple[str, ...]]:
    """The phrases of a list with `|` or the end of a line between them, each as its words."""
    return frozenset(tuple(one.split()) for line in lines.strip().splitlines() for one in line.split("|"))
