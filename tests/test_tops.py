"""Counting what comes most, in a room of fixed size: what Space-Saving promises."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.regions.heat import NO_HEAT, Heat, text_of
from holdover.regions.tops import TopCounts

DAY = 86_400.0


@given(st.lists(st.integers(0, 30), max_size=400), st.integers(1, 12))
def test_the_guarantees(stream, capacity):
    """Section 3 of the paper: no count is too low, nor too high by more than N / m."""
    tops, forgotten = TopCounts(capacity), []
    for key in stream:
        forgotten.append(tops.add(key))
    truth = Counter(stream)
    counted = {one.key: one for one in tops.counted()}
    assert len(counted) == len(tops) == min(len(truth), capacity)
    assert sum(one.count for one in counted.values()) == len(stream)
    for key, one in counted.items():
        assert one.certain <= truth[key] <= one.count
        assert one.error <= len(stream) / capacity
    for key, count in truth.items():
        if count > len(stream) / capacity:
            assert key in tops
    gone = [key for key in forgotten if key is not None]
    assert Counter(gone) + Counter(counted.keys()) >= Counter(truth.keys())


@given(st.lists(st.integers(0, 9), max_size=200))
def test_with_room_for_all_it_is_exact(stream):
    """What fits is simply counted."""
    tops = TopCounts(10)
    for key in stream:
        assert tops.add(key) is None
    assert {one.key: one.count for one in tops.counted()} == Counter(stream)
    assert all(one.error == 0 for one in tops.counted())


class TestHeat:
    def test_yesterday_fades(self):
        """What nobody asks for any more gives way to what is asked for now."""
        old = NO_HEAT.joined({"old": 1000.0}, 0.0, most=1)
        new = old.joined({"new": 100.0}, DAY, most=1)
        assert new.at == DAY
        assert new.weights["old"] == pytest.approx(1000 / 16)
        assert list(new.weights) == ["new", "old"]
        assert "old" not in new.joined({}, 10 * DAY, most=1).weights

    def test_a_clock_that_is_behind(self):
        """Nothing grows when a host's clock is behind that of the last writer."""
        heat = Heat(at=100.0, weights={"a": 8.0}).joined({"a": 1.0}, 50.0, most=1)
        assert (heat.at, heat.weights) == (100.0, {"a": 9.0})

    def test_it_is_bounded(self):
        """In calls, with some in reserve, and in characters."""
        many = {f"call {n}": float(n + 1) for n in range(100)}
        assert len(NO_HEAT.joined(many, 0.0, most=10).weights) == 20
        long = {f"{n}" + "x" * 2000: 5.0 for n in range(1000)}
        kept = NO_HEAT.joined(long, 0.0, most=1000).weights
        assert 200 < len(kept) < 270
        assert text_of("f", ["x" * 3000], {}) is None

    @pytest.mark.parametrize(
        "held",
        [
            None,
            [],
            {"version": 2, "at": 1.0, "calls": {}},
            {"version": 1, "at": True, "calls": {}},
            {"version": 1, "at": float("nan"), "calls": {}},
            {"version": 1, "at": 10**400, "calls": {}},
            {"version": 1, "at": 1.0, "calls": []},
            {"version": 1, "at": 1.0, "calls": {str(n): 1.0 for n in range(20_001)}},
            {"version": 1, "at": 1.0, "calls": {"a": "1"}},
            {"version": 1, "at": 1.0, "calls": {"a": float("inf")}},
        ],
    )
    def test_what_is_no_record(self, held):
        """It is told from one."""
        assert Heat.from_plain(held) is None

    def test_there_and_back(self):
        """What is written is what is read."""
        heat = Heat(at=5.0, weights={text_of("m:f", [1], {"a": [None]}): 3.0})
        assert Heat.from_plain(heat.to_plain()) == heat
        [hot] = heat.calls(5)
        assert (hot.function, hot.call.args, hot.call.kwargs, hot.weight) == (
            "m:f",
            (1,),
            {"a": [None]},
            3.0,
        )

    def test_texts_that_are_no_calls(self):
        """They are left out, and do not count among the wanted."""
        texts = ["", "[", "5", '["f",[]]', '["f",{},{}]', "[1,[],{}]", "[" * 2000]
        texts += ['["f",["' + "x" * 3000 + '"],{}]', '["f",["\\ud800"],{}]']
        good = text_of("f", [], {})
        heat = Heat(at=0.0, weights={**dict.fromkeys(texts, 9.0), good: 1.0})
        assert [hot.function for hot in heat.calls(1)] == ["f"]
