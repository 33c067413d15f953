"""What is left alone for a while, shown shortly, or given a whole lifetime."""

from unittest import mock

from holdover import Cached, Lifetime
from holdover.regions.pauses import _MOST_REMEMBERED, Pauses
from holdover.regions.previews import preview


class TestPauses:
    def test_end(self):
        """A key is left alone for its own span, and another one is not."""
        with mock.patch("time.monotonic", return_value=100.0) as now:
            pauses = Pauses()
            pauses.begin("a", 5)
            assert ("a" in pauses, "b" in pauses) == (True, False)
            now.return_value = 105.0
            assert "a" not in pauses

    def test_are_bounded(self):
        """Too many are forgotten, but for the newest."""
        pauses = Pauses()
        for number in range(_MOST_REMEMBERED + 1):
            pauses.begin(number, 60)
        assert 0 not in pauses
        assert _MOST_REMEMBERED in pauses


class TestPreview:
    def test_is_short(self):
        """However large a value is."""
        assert preview({"a": 1}, 100) == "{'a': 1}"
        assert len(preview(["x" * 10_000] * 10_000, 100)) <= 100

    def test_whatever_its_repr_does(self):
        """What cannot be shown is told of: objects, and numbers too long for Python."""

        class Broken:
            def __repr__(self):
                raise KeyError("no")

        assert preview(Broken(), 100).startswith("<Broken instance")
        assert 0 < len(preview(10**5000, 100)) <= 100


def test_a_whole_lifetime():
    """It takes the place of the region's, with spans that are None, too."""
    own = Lifetime(expiration_time=5, stale_while_revalidate=0, keep_for=None)
    regions = Lifetime(expiration_time=9, stale_if_error=7)
    assert own == Cached.with_lifetime("value", own).lifetime(regions)
