"""Frames of Zstandard are bounded by their headers, written here by hand."""

import pytest

from mothernets_jax.storage.zstd_frames import check_frame

MAGIC = bytes.fromhex("28b52ffd")
RAW, REPEATED, COMPRESSED = 0, 1, 2


def block(kind, size, content=b"", last=True):
    return (size << 3 | kind << 1 | last).to_bytes(3, "little") + content


def frame(*blocks, size=5, checksum=b""):
    """A frame that keeps all in one segment, its size in four bytes."""
    flags = 0xA0 | (4 if checksum else 0)
    head = MAGIC + bytes([flags]) + size.to_bytes(4, "little")
    return head + b"".join(blocks) + checksum


def test_what_fits_passes():
    check_frame(frame(block(RAW, 5, b"12345")), 5)
    check_frame(frame(block(REPEATED, 5, b"1")), 5)
    check_frame(frame(block(RAW, 5, b"12345"), checksum=bytes(4)), 5)
    windowed = MAGIC + bytes([0, 0x58]) + block(RAW, 1, b"1")  # of 2 MiB
    check_frame(windowed, 1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no Zstandard frame"),
        (b"123456789", "no Zstandard frame"),
        (frame(), "cut off"),
        (frame(block(RAW, 5, b"12345")) + b"more", "ends elsewhere"),
        (frame(block(RAW, 5, b"1234")), "ends elsewhere"),
        (frame(block(3, 5)), "of no known kind"),
        (frame(block(RAW, 2**20, bytes(2**20))), "of no known kind"),
        (frame(block(RAW, 5, b"12345"), size=2**31), "needs 2,147,483,648 bytes"),
        (MAGIC + bytes([0, 0xA0]) + block(RAW, 0), "needs 1,073,741,824 bytes"),
        (frame(*[block(REPEATED, 2**21 - 1, b"0", False)] * 9), "far more than the 5"),
        (frame(*[block(COMPRESSED, 1, b"0", False)] * 200), "far more than the 5"),
        (frame(*[block(RAW, 0, b"", False)] * 200), "far more than the 5"),
    ],
)
def test_what_may_decode_to_more_is_refused(data, why):
    with pytest.raises(ValueError, match=why):
        check_frame(data, 5)
