"""The chain of pages of a TIFF file, judged before anything is built from it."""

import struct
from itertools import pairwise
from pathlib import Path

from payloadfield.errors import GeometryError

#: Tags of a page, of which real ones have some dozens.
MOST_TAGS = 512
MOST_PAGES = 200_000
# Per version: bytes of the count of tags, of a tag, and of an offset, and their formats.
_CLASSIC, _BIG = (2, "H", 12, 4, "I"), (8, "Q", 20, 8, "Q")

# Bytes of a value of each type of tag.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def check_chain(path: Path, where: str) -> None:
    """Raise GeometryError unless pages and tags lie within the file, apart from each other, up to an end.

    So the work to read them all is in proportion to the length of the file.
    """
    length = path.stat().st_size
    taken: list[tuple[int, int]] = []
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
        if version not in (42, 43) or (version == 43 and len(head) < 16):
            raise GeometryError(f"{where}: does not begin as TIFF files do")
        n_count, count_format, n_tag, n_offset, offset_format = _BIG if version == 43 else _CLASSIC
        start = struct.unpack(f"{order}{offset_format}", head[n_offset : 2 * n_offset])[0]
        seen: set[int] = set()
        while start:
            file.seek(min(start, length))
            count = file.read(n_count)
            n_tags = struct.unpack(f"{order}{count_format}", count)[0] if len(count) == n_count else 0
            end = start + n_count + n_tags * n_tag + n_offset
            if end > length or not 0 < n_tags <= MOST_TAGS or start in seen or len(taken) >= MOST_PAGES:
                raise GeometryError(
                    f"{where}: page {len(taken)} begins at byte {start:,} with {n_tags:,} tags, but the file has "
                    f"{length:,} bytes and {len(taken):,} pages before; it was cut off or damaged"
                )
            seen.add(start)
            taken.append((start, end))
            tags = file.read(n_tags * n_tag)
            for tag, kind, n_values, at in struct.iter_unpack(f"{order}HH{offset_format}{offset_format}", tags):
                if (n_bytes := _SIZES.get(kind, 0) * n_values) > n_offset and at + n_bytes > length:
                    raise GeometryError(
                        f"{where}: tag {tag} of page {len(taken) - 1} has {n_bytes:,} bytes from byte {at:,}, but the "
                        f"file has {length:,}; it was cut off or damaged"
                    )
            start = struct.unpack(f"{order}{offset_format}", file.read(n_offset))[0]
    taken.sort()
    if any(end > following for (_, end), (following, _) in pairwise(taken)):
        raise GeometryError(f"{where}: has pages within pages; it is damaged")
