"""What the documents say is what the code does."""

import re
from pathlib import Path

import pytest

from holdover.regions import plugins

ROOT = Path(__file__).parent.parent
SHARED = {"this process": "process", "processes of a host": "host", "a fleet": "fleet"}


def rows():
    """The rows of the table of backends."""
    text = (ROOT / "docs" / "backends.rst").read_text()
    found = re.findall(
        r"^``(holdover\.\w+)``\s+(this process|processes of a host|a fleet)\s+"
        r"(\w+)\s+(yes|no)\s+([\w, ]+)$",
        text,
        re.MULTILINE,
    )
    return {name: rest for name, *rest in found}


def test_every_backend_is_in_the_table():
    """The table names the backends that there are."""
    assert set(rows()) == set(plugins.BACKENDS)


@pytest.mark.parametrize("name", plugins.BACKENDS)
def test_the_table_is_true(name):
    """The table says of each backend what it declares of itself."""
    capabilities = plugins.load("backend", name).capabilities
    shared, keeps, durable, bounds = rows()[name]
    assert capabilities.shared_by == SHARED[shared]
    assert capabilities.keeps_objects == (keeps == "objects")
    assert capabilities.durable == (durable == "yes")
    assert list(capabilities.bounded_by) == bounds.split(", ")


def test_every_codec_is_in_the_table():
    """The table of codecs names those that there are, with their extras."""
    text = (ROOT / "docs" / "codecs.rst").read_text()
    found = re.findall(r"^``(\w+)`` .* (-|``holdover\[\w+\]``)$", text, re.MULTILINE)
    assert {name: extra.strip("`") for name, extra in found} == {
        name: f"holdover[{plugin.extra}]" if plugin.extra else "-"
        for name, plugin in plugins.CODECS.items()
    }


def test_the_readme_s_code_runs(tmp_path):
    """The first steps of the README run as they are written."""
    text = (ROOT / "README.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    first = re.sub(r"^    ", "", blocks[0], flags=re.MULTILINE)
    first = first.replace("/var/cache/shop", str(tmp_path / "shop"))
    assert "price_of.refresh(17)" in first
    names = {}
    exec(first, names)
    assert names["region"].is_configured


def test_links_lead_somewhere():
    """Every file that a document links to is there."""
    for document in [*ROOT.glob("*.rst"), *(ROOT / "docs").glob("*.rst")]:
        for target in re.findall(r"<([\w/.-]+\.rst)>`_", document.read_text()):
            assert (document.parent / target).exists(), (document, target)
