"""Small files that are what they say, for people who send one."""

import io
import struct
from functools import cache


@cache
def photo(width: int = 64, height: int = 48) -> bytes:
    """A JPEG of one colour."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 220, 240)).save(out, "JPEG")
    return out.getvalue()


DOCUMENT = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


@cache
def voice() -> bytes:
    """Ogg with Opus (RFC 7845): the two headers and one packet of silence, 20 ms."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 3) + b"elp" + struct.pack("<I", 0)
    return _page(0, 2, 0, head) + _page(1, 0, 0, tags) + _page(2, 4, 960, b"\xf8\xff\xfe")


def _page(number: int, flags: int, position: int, packet: bytes) -> bytes:
    """One page of an Ogg stream (RFC 3533 section 6); packets here are shorter than 255 bytes."""
    page = b"OggS" + struct.pack("<BBqIIIBB", 0, flags, position, 1, number, 0, 1, len(packet)) + packet
    return page[:22] + struct.pack("<I", _checksum(page)) + page[26:]


def _checksum(page: bytes) -> int:
    """CRC-32 with polynomial 0x04c11db7, neither reflected nor inverted."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1
            value &= 0xFFFFFFFF
    return value
