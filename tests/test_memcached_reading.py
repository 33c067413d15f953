"""Answers that `holdover.memcached` reads off the socket itself, or trouble."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pieces import Pieces, sliced
from pymemcache.exceptions import MemcacheError

from holdover.regions.backends import memcached_pymemcache as module
from holdover.regions.backends import receiving
from holdover.regions.backends.receiving import PIECE, Closed

ITEMS = st.dictionaries(
    st.sampled_from([b"a", b"b", b"c"]), st.binary(max_size=300), max_size=3
)
CUTS = st.lists(st.integers(0, 10_000), max_size=8)


def packed(items):
    """The answer to a get."""
    told = [
        b"VALUE %b 0 %d\r\n%b\r\n" % (name, len(data), data)
        for name, data in items.items()
    ]
    return b"".join(told) + b"END\r\n"


@given(ITEMS, CUTS)
def test_items_come_in_any_pieces(items, cuts):
    """However the answer is cut up on its way."""
    pieces = Pieces(*sliced(packed(items), cuts))
    assert module._values_from(pieces, [b"a", b"b", b"c"]) == items


@given(ITEMS, CUTS, st.integers(0, 10_000))
def test_a_part_is_no_answer(items, cuts, end):
    """A server that hangs up in the middle has not answered."""
    data = packed(items)
    pieces = Pieces(*sliced(data[: end % len(data)], cuts))
    with pytest.raises(Closed):
        module._values_from(pieces, [b"a", b"b", b"c"])


def test_what_was_read_is_left_behind(monkeypatch):
    """Many items together are not copied again for each of them."""
    carried = []

    def received(sock, data, length):
        carried.append(len(data))
        return receiving.received(sock, data, length)

    monkeypatch.setattr(module, "received", received)
    items = {b"%d" % number: b"x" * (PIECE - number) for number in range(100)}
    data = packed(items)
    pieces = Pieces(*sliced(data, range(0, len(data), PIECE)))
    assert module._values_from(pieces, list(items)) == items
    assert 0 < sum(carried) < len(data)


class Endless(Pieces):
    """A socket whose other end sends letters, and never stops."""

    def __init__(self):
        self.letters = itertools.repeat(b"x" * 100, 1_000_000)

    def recv(self, most):
        """Give some more of them."""
        return next(self.letters)[:most]


@pytest.mark.parametrize(
    "read",
    [
        lambda sock: module._values_from(sock, [b"a"]),
        lambda sock: module._check_answers(sock, {b"STORED"}),
    ],
)
def test_a_line_without_an_end(read):
    """Nobody waits for it for ever, nor collects it."""
    with pytest.raises(MemcacheError, match="the server answered b'xxx"):
        read(Endless())
