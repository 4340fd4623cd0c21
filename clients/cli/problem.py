"""What the command can say about a failure: one sentence of what is wrong, one of what to do about it."""


class Problem(Exception):
    """A failure that the user can understand. It ends the command with exit code 1, without a traceback."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class UsageProblem(Problem):
    """The command line asks for something impossible; exit code 2."""
