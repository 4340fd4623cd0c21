"""`ai2text search -i`: a prompt that takes queries, and commands on what was found."""

import contextlib
import os
import readline
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ai2text.search.v1 import hit_pb2
from rich.console import Console

from clients.cli import answers, terminal
from clients.cli.hits import Answer, Question
from clients.cli.moments import Moment
from clients.cli.problem import Problem, UsageProblem

PROMPT = "search> "
HELP = """Type what was said, or a question about it.
:next        the next page
:open N      what was said around hit N
:play N      the same, and hear it
:explain     why the last answer is what it is
:help        this
:quit        end; so does Ctrl-D"""
HISTORY_LENGTH = 500


class Asking:
    """One conversation. What goes wrong is said, and the next line is taken."""

    def __init__(
        self,
        question: Question,
        ask: Callable[[Question], Answer],
        look: Callable[[hit_pb2.Hit], Moment],
        hear: Callable[[Moment], None],
        console: Console,
    ) -> None:
        """`question` has what all queries have in common. `ask`, `look` and `hear` raise Problem."""
        self._common = question
        self._ask = ask
        self._look = look
        self._hear = hear
        self._console = console
        self._asked: Question | None = None
        self._answer: Answer | None = None

    def run(self, read: Callable[[str], str] = input) -> None:
        """Take lines until there are no more, or until told to quit. Ctrl-C gives up the line, or the search."""
        given = self._common.query
        while True:
            try:
                line, given = given or read(PROMPT).strip(), ""
                if not self._guarded(line):
                    return
            except EOFError:
                self._console.print()
                return
            except KeyboardInterrupt:
                self._console.print()

    def _guarded(self, line: str) -> bool:
        """Do what the line says; False when it says to quit."""
        try:
            return self._take(line)
        except Problem as problem:
            terminal.complain(problem)
            return True

    def _take(self, line: str) -> bool:
        command, _, rest = line.partition(" ")
        if command in (":quit", ":q"):
            return False
        if command == ":help":
            self._console.print(HELP, markup=False)
        elif command == ":next":
            self._show(replace(self._last_question(), page_token=self._next_token()))
        elif command == ":explain":
            self._show(replace(self._last_question(), explain=True))
        elif command in (":open", ":play"):
            moment = self._look(self._hit(rest))
            answers.show_moment(moment, self._console)
            if command == ":play" and moment.has_sound:
                self._hear(moment)
        elif command.startswith(":"):
            raise UsageProblem(f"There is no command {command}.", "`:help` shows what there is.")
        elif line:
            self._show(replace(self._common, query=line))
        return True

    def _show(self, question: Question) -> None:
        answer = self._ask(question)
        # What comes later is asked like this one, but explained only when it is asked for again.
        self._asked, self._answer = replace(question, explain=self._common.explain), answer
        answers.show(answer, self._console, numbered=True)
        if answer.next_token:
            self._console.print("There is more: :next", style="dim")

    def _last_question(self) -> Question:
        if self._asked is None:
            raise UsageProblem("Nothing was asked yet.", "Type what was said, or a question about it.")
        return self._asked

    def _next_token(self) -> str:
        if self._answer is None or not self._answer.next_token:
            raise UsageProblem("There is no next page.")
        return self._answer.next_token

    def _hit(self, given: str) -> hit_pb2.Hit:
        found = self._answer.hits if self._answer else ()
        if not given.strip().isdecimal() or not 1 <= int(given) <= len(found):
            count = f"There are {len(found)} hits." if found else "There are no hits yet."
            raise UsageProblem(f"{given.strip() or 'Nothing'} is no hit's number.", count)
        return found[int(given) - 1]


@contextlib.contextmanager
def remembered(path: Path) -> Iterator[None]:
    """Within the block the prompt has the history of earlier ones, and what is typed joins it in the end.

    Only who asks may read it. A history that cannot be read or written is done without.
    """
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LENGTH)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            readline.write_history_file(path)
