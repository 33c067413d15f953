"""Any text as bytes and back, lone surrogates too: keys may have some."""

from __future__ import annotations


def to_bytes(text: str) -> bytes:
    """Encode any text."""
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """Decode what `to_bytes` has made of a text; raises `UnicodeDecodeError`."""
    return data.decode("utf-8", "surrogatepass")
