"""The demonstration's data: the standard library, one article for each file."""

import re

from holdover.demo.corpus import Document, standard_library
from library.models import NO_SUMMARY, Article

_DOCSTRING = re.compile(r'(?:\s*#.*\n|\s*\n)*[rRuU]?"""\s*(.+)')


def fill() -> int:
    """Make the articles, unless they are there; give how many there are."""
    if not Article.objects.exists():
        documents = standard_library().documents
        Article.objects.bulk_create(map(_article, documents), batch_size=50)
    return Article.objects.count()


def _article(document: Document) -> Article:
    found = _DOCSTRING.match(document.text)
    return Article(
        path=document.path,
        summary=found[1].strip().strip('"')[:300] if found else NO_SUMMARY,
        source=document.text,
        lines=document.text.count("\n"),
    )
