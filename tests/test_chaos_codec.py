"""A codec that fails by chance, and regions over it, which answer all the same."""

import pytest
from waiting import PATIENCE

from holdover import NO_VALUE, make_region
from holdover.errors import ConfigurationError, UncacheableValue, UnknownName
from holdover.events import Uncacheable, Unreadable
from holdover.regions.codecs import JsonCodec, PickleCodec
from holdover.testing import ChaosCodec, Findings, Oracle, hammer


def test_calm_it_is_the_codec_behind_it():
    """By name and as an object; 0.0 is calm, too."""
    for codec in ("pickle", PickleCodec(), "json", JsonCodec()):
        chaos = ChaosCodec(codec, failing=0.0)
        payload = chaos.dumps(["a", None, 1])
        assert payload == chaos.codec.dumps(["a", None, 1])
        assert chaos.tag == chaos.codec.tag
        assert chaos.loads(memoryview(payload)) == ["a", None, 1]


def test_what_befalls_a_call(clock):
    """It fails, as a codec may, or takes longer."""
    chaos = ChaosCodec("json", delay=2.0, time_source=clock, failing=1.0)
    with pytest.raises(UncacheableValue, match="ChaosCodec cannot encode"):
        chaos.dumps(1)
    with pytest.raises(ValueError, match="no good"):
        chaos.loads(memoryview(b"1"))
    chaos.trouble(verbs=["loads"])
    assert chaos.dumps(1) == b"1"
    chaos.trouble(slow=1.0)
    began = clock.steady()
    assert chaos.loads(memoryview(chaos.dumps(1))) == 1
    assert clock.steady() - began == 4.0


def test_chance_is_repeatable():
    """The same seed, the same failures."""

    def failures(seed):
        chaos = ChaosCodec("json", seed=seed, failing=0.5)
        for _ in range(50):
            try:
                chaos.loads(memoryview(b"1"))
            except ValueError:
                yield True
            else:
                yield False

    assert [*failures(1)] == [*failures(1)] != [*failures(2)]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"codec": 5}, "needs a codec, got 5"),
        ({"refusing": 0.1}, "no trouble of ChaosCodec 'refusing'"),
        ({"failing": 2.0}, "failing must be a chance"),
        ({"verbs": ["dump"]}, "no verb of ChaosCodec 'dump'. Did you mean 'dumps'"),
        ({"delay": -1.0}, "delay must"),
    ],
)
def test_what_makes_no_sense(wrong, named):
    """It says what was wanted."""
    with pytest.raises(ConfigurationError, match=named):
        ChaosCodec(**wrong)
    with pytest.raises(UnknownName):
        ChaosCodec("jason")


@pytest.mark.parametrize("backend_name", ["memory", "file"], indirect=True)
class TestRegion:
    def test_what_cannot_be_written(self, new_region, heard):
        """Callers get the value, nothing is stored, and whoever stores hears of it."""
        chaos = ChaosCodec("json", verbs=["dumps"], failing=1.0)
        region = new_region(codec=chaos)
        events = heard(region)
        assert region.get_or_create("k", lambda: 1) == 1
        assert region.get_or_create("k", lambda: 2) == 2
        assert [one for one in events if isinstance(one, Uncacheable)]
        with pytest.raises(UncacheableValue):
            region.set("k", 3)
        chaos.calm()
        assert region.get_or_create("k", lambda: 4) == 4
        assert region.get("k") == 4

    def test_what_cannot_be_read(self, new_region, heard):
        """It is a miss, and the next value is read once more."""
        chaos = ChaosCodec("json", verbs=["loads"], failing=1.0)
        region = new_region(codec=chaos)
        events = heard(region)
        region.set("k", 1)
        assert region.get("k") is NO_VALUE
        assert region.get_or_create("k", lambda: 2) == 2
        assert [one for one in events if isinstance(one, Unreadable)]
        chaos.calm()
        assert region.get("k") == 2


def test_its_pickles_are_warned_of(redis_server, recwarn):
    """What is unsigned is so, whatever stands before it."""
    region = make_region("shop").configure(
        redis_server.url, 60, codec=ChaosCodec("pickle")
    )
    assert region.unpickles_unsigned
    assert "unsigned" in str(recwarn.pop().message)
    region.configure(
        redis_server.url, codec=ChaosCodec("json"), replace_existing_backend=True
    )
    assert not region.unpickles_unsigned
    assert len(recwarn) == 0


def test_nothing_old_and_no_error(tmp_path):
    """Whatever fails, a call gives the value, and none that was invalidated."""
    oracle, findings = Oracle(str(tmp_path / "oracle"), 4), Findings()
    arguments = {"path": tmp_path / "cache", "lock_timeout": PATIENCE}
    for seed in range(4):
        region = make_region("oracle").configure(
            "holdover.file", 60, arguments, codec=ChaosCodec(seed=seed, failing=0.3)
        )
        findings += hammer(
            oracle,
            lambda key, creator, r=region: r.get_or_create(f"key{key}", creator),
            lambda key, r=region: not r.delete(f"key{key}").pending,
            calls=200,
            seed=seed,
            invalidate_every=10,
            creator_pause=0.0,
        )
    assert findings.creations > 100
    assert findings.wrong == 0
