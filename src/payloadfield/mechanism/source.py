"""Text of generated code that all Python targets share: lines, wrapping, and which inputs a block reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from payloadfield.mechanism.assignments import Access, Block, Kernel, Statement, names_read

WIDTH = 118


class Lines:
    """Lines of code with an indentation."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def put(self, text: str = "", indent: int = 0) -> None:
        """One logical line; a long one is broken at spaces within its parentheses."""
        lead = "    " * indent
        if len(lead) + len(text) <= WIDTH or "\n" in text or text.startswith("#"):
            self.lines.append((lead + text).rstrip())
            return
        head, body, tail = _opened(text)
        wrapped = textwrap.wrap(body, WIDTH - len(lead) - 4, break_long_words=False, break_on_hyphens=False)
        self.lines.append(f"{lead}{head}(")
        self.lines.extend(f"{lead}    {line}" for line in wrapped)
        self.lines.append(f"{lead}){tail}")

    def put_with_note(self, text: str, note: str, indent: int) -> None:
        """One logical line with a comment after it, or before it where there is no room."""
        line = f"{text}  # {note}" if note else text
        if len(line) + 4 * indent <= WIDTH:
            self.lines.append("    " * indent + line)
            return
        self.comment(note, indent)
        self.put(text, indent)

    def comment(self, text: str, indent: int = 0) -> None:
        """A comment of its own line, if there is one."""
        if text:
            self.put(f"# {text}"[: WIDTH - 4 * indent], indent)

    def text(self) -> str:
        """All lines as one text."""
        return "\n".join(self.lines) + "\n"


def _opened(text: str) -> tuple[str, str, str]:
    """A long line as what stands before, in and after a pair of parentheses; an assignment gets a pair of its own."""
    for mark in (" += ", " = "):
        if mark in text:
            target, value = text.split(mark, 1)
            return target + mark, value, ""
    head, rest = text.split("(", 1)
    body, tail = rest.rsplit(")", 1)
    return head, body, tail


def docstring(text: str) -> str:
    """A one-line docstring."""
    return f'"""{text}"""'


def inputs_at(kernel: Kernel, level: int, blocks: Iterable[Block]) -> list[tuple[str, Access]]:
    """Inputs of one level that some block (or the prelude) reads, in the order of the arrays."""
    statements: list[Statement] = [*kernel.prelude, *(item for block in blocks for item in block.statements)]
    read = names_read(statements)
    return [(name, access) for name, access in kernel.inputs.items() if access.level == level and name in read]
