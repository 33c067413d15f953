"""A codec that fails now and then."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from holdover.regions import plugins
from holdover.regions.codecs import Codec, check_tag, uncacheable
from holdover.regions.errors import ConfigurationError
from holdover.regions.lifetime import lease_span
from holdover.regions.timesource import SYSTEM_TIME, TimeSource, checked_time_source
from holdover.testing.chances import Chances, Chaos, Fate


class ChaosCodec(Chaos):
    """Stands before a codec: ``configure(..., codec=ChaosCodec("json", failing=0.1))``.

    One of these befalls a call, with the chance that is given (0.0 to 1.0):

    - ``failing``: what is to be written cannot be (`UncacheableValue`), and what is to
      be read is no good (``ValueError``).
    - ``slow``: it takes *delay* seconds longer.

    Args:
        codec: The codec, or its name.
        seed: Makes chance repeatable.
        verbs: What is to be troubled: "dumps", "loads"; None: both.
        delay: Seconds that a slow call takes longer.
        time_source: What to wait by.
        **chances: See above.

    Raises:
        ConfigurationError: There is no such trouble, verb or codec, or a chance is
            none.
    """

    fates = frozenset({Fate.FAILING, Fate.SLOW})
    verbs = ("dumps", "loads")

    def __init__(
        self,
        codec: Codec | str = "pickle",
        *,
        seed: int = 0,
        verbs: Collection[str] | None = None,
        delay: float = 0.05,
        time_source: TimeSource = SYSTEM_TIME,
        **chances: float,
    ) -> None:
        made: Codec = (
            plugins.load("codec", codec)() if isinstance(codec, str) else codec
        )
        if not all(hasattr(made, part) for part in ("tag", "dumps", "loads")):
            raise ConfigurationError(f"ChaosCodec needs a codec, got {codec!r:.80}")
        check_tag(made)
        self.codec = made
        self.tag = made.tag
        self._delay = lease_span(delay, "delay", zero=True)
        self._time = checked_time_source(time_source)
        self._chances = Chances(type(self), seed, verbs, chances)

    def dumps(self, value: Any) -> bytes:
        """See `Codec.dumps`."""
        if self._fails("dumps"):
            raise uncacheable(value, "ChaosCodec", ValueError("by chance"))
        return self.codec.dumps(value)

    def loads(self, payload: memoryview) -> Any:
        """See `Codec.loads`."""
        if self._fails("loads"):
            raise ValueError("ChaosCodec: these bytes are no good")
        return self.codec.loads(payload)

    def _fails(self, verb: str) -> bool:
        fate = self._chances.draw(verb)
        if fate is Fate.SLOW:
            self._time.sleep(self._delay)
        return fate is Fate.FAILING
