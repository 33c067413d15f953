"""What stands in the documentation, for tests that carry it out."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent


def blocks(page, language="python"):
    """Give a page's blocks of one language, from top to bottom, as they are to be run.

    Args:
        page: Its name in ``docs``.
        language: As the page says it.
    """
    text = (ROOT / "docs" / page).read_text()
    begin = rf"\.\. code-block:: {language}\n\n"
    found = re.findall(rf"{begin}((?:   .*\n|\n)+)", text)
    return list(map(textwrap.dedent, found))


def block_with(word, page, language="python"):
    """Give the first block of a page that has a word in it."""
    return next(one for one in blocks(page, language) if word in one)


def rows(page, first):
    """Give the rows of the table of a page whose head begins with *first*.

    A cell of several lines is one, without its line ends.
    """
    text = (ROOT / "docs" / page).read_text()
    table = re.search(
        rf"^(=+(?:  =+)+)\n{re.escape(first)}  .*\n\1\n((?:.+\n)+?)\1$",
        text,
        re.MULTILINE,
    )
    starts = [one.start() for one in re.finditer(r"=+", table[1])]
    columns = [slice(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
    found = []
    for line in table[2].splitlines():
        cells = [line[column].strip() for column in columns]
        if cells[0]:
            found.append(cells)
        else:
            joined = zip(found[-1], cells, strict=True)
            found[-1] = [" ".join(parts).strip() for parts in joined]
    return found
