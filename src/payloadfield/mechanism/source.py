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
        if len(lead) + len(text) <= WIDTH or "\n" in text or text.startswith("#") or " = " not in text.replace("+=", "="):
            self.lines.append((lead + text).rstrip())
            return
        mark = " += " if " += " in text.split("(")[0] else " = "
        target, value = text.split(mark, 1)
        body = textwrap.wrap(value, WIDTH - len(lead) - 4, break_long_words=False, break_on_hyphens=False)
        self.lines.append(f"{lead}{target}{mark}(")
        self.lines.extend(f"{lead}    {line}" for line in body)
        self.lines.append(f"{lead})")

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


def docstring(text: str) -> str:
    """A one-line docstring."""
    return f'"""{text}"""'


def inputs_at(kernel: Kernel, level: int, blocks: Iterable[Block]) -> list[tuple[str, Access]]:
    """Inputs of one level that some block (or the prelude) reads, in the order of the arrays."""
    statements: list[Statement] = [*kernel.prelude, *(item for block in blocks for item in block.statements)]
    read = names_read(statements)
    return [(name, access) for name, access in kernel.inputs.items() if access.level == level and name in read]
