"""How much a Zstandard frame may hold, told from its headers, without decoding it.

References: RFC 8878, "Zstandard Compression", sections 3.1.1 and 3.1.1.2.
"""

from collections.abc import Iterator
from typing import NamedTuple

_MAGIC = bytes.fromhex("28b52ffd")
_RAW, _REPEATED, _COMPRESSED = 0, 1, 2  # kinds of blocks
_LARGEST_BLOCK = 2**17  # bytes that a block decodes to at most
_LARGEST_WINDOW = 2**27  # bytes that a decoder looks back over at most, by default
_FEWEST_BYTES = 256  # that a block of many stands for


class Frame(NamedTuple):
    """What a frame's header says, and where its blocks begin.

    Attributes:
        content: number of bytes that it decodes to; None where that is not said.
        window: number of bytes that a decoder keeps.
        blocks: place of the first block.
        has_checksum: whether four bytes of a checksum follow the last block.
    """

    content: int | None
    window: int
    blocks: int
    has_checksum: bool


def check_frame(data: bytes, most: int) -> None:
    """Refuses anything but one frame whose decoding takes little memory.

    Args:
        data: the frame, from its first byte to its last.
        most: number of bytes that it should decode to at most. The blocks' headers
            give a bound only, so that four times as many, and 16 MiB, pass.

    Raises:
        ValueError: it is no frame, or may decode to more.
    """
    frame = _read_header(data)
    if max(frame.content or 0, frame.window) > max(most, _LARGEST_WINDOW):
        raise ValueError(f"a Zstandard frame needs {frame.window:,} bytes")
    size, place = 0, frame.blocks
    most_blocks = 64 + most // _FEWEST_BYTES
    for number, (regenerated, end) in enumerate(_blocks(data, frame.blocks)):
        size, place = size + regenerated, end
        if size > 4 * most + 2**24 or number > most_blocks:
            raise ValueError(
                f"a Zstandard frame of {len(data):,} bytes may decode to far more "
                f"than the {most:,} that are expected"
            )
    if place + 4 * frame.has_checksum != len(data):
        raise ValueError("a Zstandard frame ends elsewhere than its data")


def _read_header(data: bytes) -> Frame:
    """Reads a frame's header, or raises ValueError."""
    if data[:4] != _MAGIC or len(data) < 6:
        raise ValueError("no Zstandard frame is where one is expected")
    flags = data[4]
    single, place = bool(flags & 0x20), 5
    window = 0
    if not single:
        exponent, mantissa = divmod(data[place], 8)
        window = (1 << (10 + exponent)) * (8 + mantissa) // 8
        place += 1
    place += (0, 1, 2, 4)[flags & 3]  # the dictionary's identity
    width = (1 if single else 0, 2, 4, 8)[flags >> 6]
    content = int.from_bytes(data[place : place + width], "little") if width else None
    if content is not None and width == 2:
        content += 256
    if single:
        window = content or 0
    return Frame(content, window, place + width, bool(flags & 4))


def _blocks(data: bytes, place: int) -> Iterator[tuple[int, int]]:
    """Yields, for each block, the bytes it decodes to at most, and where it ends."""
    last = 0
    while not last:
        header = data[place : place + 3]
        if len(header) < 3:
            raise ValueError("a Zstandard frame is cut off")
        number = int.from_bytes(header, "little")
        last, kind, size = number & 1, number >> 1 & 3, number >> 3
        if kind > _COMPRESSED or (kind != _REPEATED and size > _LARGEST_BLOCK):
            raise ValueError("a Zstandard frame has a block of no known kind")
        place += 3 + (1 if kind == _REPEATED else size)
        yield (_LARGEST_BLOCK if kind == _COMPRESSED else size), place
