"""Records that processes share: whoever was quicker has won."""

import pytest

from holdover import errors, events, make_region
from holdover.regions.shared_records import KEPT, TRIES, SharedRecords


@pytest.fixture
def region():
    """A region in memory."""
    return make_region("shop").configure("holdover.memory", 60, codec="json")


@pytest.fixture
def counts(region):
    """Records that hold a count; a negative one is none."""
    return SharedRecords(
        region._tier, lambda held: held if held >= 0 else None, int, "count"
    )


def grown(count):
    """Count one more."""
    return (count or 0) + 1


def test_there_is_none_at_first(counts):
    """It is made from nothing, and changed from what is there."""
    assert counts.look("k").value is None
    assert [1, 2, 3] == [counts.change("k", grown) for _ in range(3)]
    assert [3, None] == [seen.value for seen in counts.look_multi(["k", "other"])]
    assert [] == counts.look_multi([])


def test_nothing_is_to_be_changed(counts):
    """What is there is left, and given."""
    counts.change("k", grown)
    assert counts.change("k", lambda _: None) == 1
    assert counts.change("other", lambda _: None) is None


def test_somebody_was_quicker(counts):
    """Who was not quick enough decides again, on what he finds then."""
    seen = counts.look("k")
    assert counts.change("k", grown) == 1
    assert counts.replace("k", seen.entry, 7) is None
    asked = []

    def decide(count):
        asked.append(count)
        if len(asked) == 1:
            counts.change("k", grown)
        return count + 10

    assert counts.change("k", decide) == 12
    assert [1, 2] == asked


def test_others_are_always_quicker(counts, region):
    """It ends, and says what kept changing."""
    asked = []

    def decide(count):
        asked.append(count)
        region._tier.store("k", region._tier.entry(len(asked), KEPT, clock=1))
        return 0

    with pytest.raises(errors.BackendError, match="count kept changing"):
        counts.change("k", decide)
    assert len(asked) == TRIES


def test_what_is_none_is_told_of_and_replaced(counts, region):
    """Others may have written anything."""
    heard = []
    region.listen(heard.append)
    tier = region._tier
    tier.store("k", tier.entry(-5, KEPT, clock=tier.tick()))
    assert counts.look("k").value is None
    [told] = [one for one in heard if isinstance(one, events.Unreadable)]
    assert (told.key, told.reason) == ("k", "it is no count")
    assert counts.change("k", grown) == 1


def test_one_writer_goes_on_from_what_he_wrote(counts):
    """The entry that was written is what is seen next, without another look."""
    entry = counts.replace("k", counts.look("k").entry, 1)
    entry = counts.replace("k", entry, 2)
    assert entry is not None
    assert counts.look("k").value == 2
