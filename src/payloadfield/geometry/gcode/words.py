"""Lines of G-code: comments taken off, checksums verified, words told apart."""

import re

from payloadfield.errors import GeometryError

# Longer is no G-code: printers take 96 characters, slicers write settings of some thousand into comments.
LONGEST_CODE, LONGEST_LINE = 512, 2**20

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"
_WORD = re.compile(rf"([A-Z])[ \t]*({_NUMBER})")
_ONLY_WORDS = re.compile(rf"(?:[ \t]*[A-Z][ \t]*{_NUMBER})+[ \t]*")
_LINE_NUMBER = re.compile(r"N[ \t]*\d+[ \t]*", re.IGNORECASE)
_CHECKSUM = re.compile(r"[ \t]*\*[ \t]*(\d{1,9})[ \t]*$")
_PARENTHESES = re.compile(r"\([^()]*\)")
_CODE = re.compile(r"([GMT])[ \t]*(\d+)(\.\d+)?")

Words = list[tuple[str, str]]


def split_comment(line: str) -> tuple[str, str]:
    """What a line commands, and its comment after a semicolon; text in parentheses is dropped."""
    opened, semicolon = line.find("("), line.find(";")
    if opened >= 0 and (semicolon < 0 or opened < semicolon):
        line = _PARENTHESES.sub(" ", line)
        head, opened_again, _ = line.partition("(")
        if opened_again and ";" not in head:  # a bracket without its end takes the rest of the line
            return head.strip(), ""
    text, _, comment = line.partition(";")
    return text.strip(), comment.strip()


def without_number(text: str, where: str) -> str:
    """The text without its line number and checksum, in capitals.  Raises GeometryError for a wrong checksum."""
    number = _LINE_NUMBER.match(text)
    if number is None:
        return text.upper()
    checksum = _CHECKSUM.search(text)
    if checksum is None:
        return text[number.end() :].upper()
    found = 0
    for byte in text[: checksum.start() + checksum[0].index("*")].encode("utf-8", "replace"):
        found ^= byte
    if found != int(checksum[1]):
        raise GeometryError(f"{where}: its checksum is {checksum[1]}, but its text gives {found}; the file is damaged")
    return text[number.end() : checksum.start()].upper()


def code_of(text: str) -> str | None:
    """The code that a line begins with, such as "G1" for "G01 X2"; None where it begins with none."""
    found = _CODE.match(text)
    if found is None:
        return None
    return f"{found[1]}{int(found[2])}{found[3] or ''}" if len(found[2]) < 9 else None


def words_of(text: str) -> Words | None:
    """All words of a line as letter and number; None where something on it is no word."""
    return _WORD.findall(text) if _ONLY_WORDS.fullmatch(text) else None


def some_words_of(text: str) -> Words:
    """What can be read as words on a line, wherever it stands."""
    return _WORD.findall(text)
