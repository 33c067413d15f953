"""As much of an HTTP client as the load needs: cheap, so that it measures the site."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from holdover.demo.pages import AGE_HEADER

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_AGE = re.compile(rb"\r\n" + AGE_HEADER.encode() + rb": *([\d.]+)", re.IGNORECASE)


class BadAnswer(ValueError):
    """What came back is not a page of the site."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection that is kept alive, for one request at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, url: str) -> Connection:
        """Connect to the site at *url*.

        Raises:
            OSError: Nobody listens there.
        """
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def get(self, target: str) -> float:
        """Ask for a page, read it, and give the age of its value in seconds.

        Raises:
            OSError: The connection broke.
            EOFError: The site closed it.
            BadAnswer: The answer is not a page.
        """
        self.writer.write(f"GET {target} HTTP/1.1\r\nHost: demo\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        length, age = _LENGTH.search(head), _AGE.search(head)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None or age is None:
            raise BadAnswer(head.split(b"\r\n", 1)[0].decode("latin-1"))
        await self.reader.readexactly(int(length[1]))
        return float(age[1])

    def close(self) -> None:
        """Hang up."""
        self.writer.close()
