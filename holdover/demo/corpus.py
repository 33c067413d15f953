"""The text that the site searches: the Python standard library that runs it."""

from __future__ import annotations

import functools
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdover.demo.errors import DemoError

# Installed by others, or left out by some distributions: without them the corpus is
# about the same everywhere.
_LEFT_OUT = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "idlelib",
        "lib2to3",
        "site-packages",
        "test",
        "tests",
        "turtledemo",
    }
)


@dataclass(frozen=True, slots=True)
class Document:
    """One source file.

    Attributes:
        path: Relative to the standard library, with slashes.
        text: As it stands in the file.
        lowered: The same in lower case.
    """

    path: str
    text: str
    lowered: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """All that can be found.

    Attributes:
        documents: The files, by path.
        average_length: Characters in one of them, on average.
    """

    documents: tuple[Document, ...]
    average_length: float

    @classmethod
    def of(cls, texts: dict[str, str]) -> Corpus:
        """Make one of texts by path."""
        documents = tuple(
            Document(path, text, text.lower()) for path, text in sorted(texts.items())
        )
        characters = sum(len(document.text) for document in documents)
        return cls(documents, characters / max(1, len(documents)))


@functools.cache
def standard_library() -> Corpus:
    """Read the source of the running Python's standard library, once.

    Raises:
        DemoError: This Python comes without it.
    """
    root = Path(sysconfig.get_path("stdlib"))
    texts = {
        path.relative_to(root).as_posix(): path.read_text("utf-8", "replace")
        for path in _sources(root)
    }
    if not texts:
        raise DemoError(f"there is no Python source in {root} to search")
    return Corpus.of(texts)


def _sources(root: Path) -> Iterator[Path]:
    for path in root.rglob("*.py"):
        if _LEFT_OUT.isdisjoint(path.relative_to(root).parts):
            yield path
