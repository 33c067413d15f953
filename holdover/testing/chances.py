"""What befalls the calls of a chaos wrapper: by chance, from a seed, until told."""

from __future__ import annotations

import enum
import random
from collections.abc import Collection, Mapping
from typing import ClassVar

from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.numbers import is_number

_ROUNDING = 1e-9


class Fate(enum.Enum):
    """What befalls a call; each wrapper knows some of them, and says what they mean."""

    FINE = "fine"
    FAILING = "failing"
    UNANSWERED = "unanswered"
    HANGING = "hanging"
    SLOW = "slow"
    REFUSING = "refusing"
    FORGETTING = "forgetting"
    LOSING = "losing"
    DOUBLING = "doubling"
    LATE = "late"


class Chances:
    """How often which fate befalls which call.

    Each verb has dice of its own, so that what is called behind the callers' backs,
    such as the renewal of a lease, does not change what befalls the others.

    Args:
        wrapper: Whose calls they are, for errors.
        seed: Makes the dice repeatable.
        verbs: Which calls are troubled at first; None: all.
        chances: How often, by the names of the fates.
    """

    def __init__(
        self,
        wrapper: type[Chaos],
        seed: int,
        verbs: Collection[str] | None,
        chances: Mapping[str, float],
    ) -> None:
        self._wrapper = wrapper
        self._seed = seed
        self._dice: dict[str, random.Random] = {}
        self._first = (wrapper.verbs if verbs is None else verbs), chances
        self._now = self._checked(*self._first)

    def calm(self) -> None:
        """See `Chaos.calm`."""
        self._now = {}

    def trouble(
        self, verbs: Collection[str] | None, chances: Mapping[str, float]
    ) -> None:
        """See `Chaos.trouble`."""
        verbs_first, chances_first = self._first
        self._now = self._checked(
            verbs_first if verbs is None else verbs, chances or chances_first
        )

    def draw(self, verb: str) -> Fate:
        """Say what befalls this call."""
        chances = self._now.get(verb)
        if not chances:
            return Fate.FINE
        drawn = self._dice_of(verb).random()
        for fate, chance in chances.items():
            if drawn < chance:
                return fate
            drawn -= chance
        return Fate.FINE

    def _dice_of(self, verb: str) -> random.Random:
        dice = self._dice.get(verb)
        if dice is None:
            fresh = random.Random(f"{self._seed}:{verb}")  # noqa: S311 - not a secret
            dice = self._dice.setdefault(verb, fresh)  # another thread may be as far
        return dice

    def _checked(
        self, verbs: Collection[str], chances: Mapping[str, float]
    ) -> Mapping[str, Mapping[Fate, float]]:
        """Give the chances of each verb.

        Raises:
            ConfigurationError: There is no such verb or fate, or a chance is none.
        """
        kind = self._wrapper.__name__
        known = {fate.value: fate for fate in self._wrapper.fates}
        for name, chance in chances.items():
            if name not in known:
                raise ConfigurationError(unknown(f"trouble of {kind}", name, known))
            check_chance(name, chance)
        if sum(chances.values()) > 1.0 + _ROUNDING:
            raise ConfigurationError(f"chances are above 1.0 together: {dict(chances)}")
        for verb in verbs:
            if verb not in self._wrapper.verbs:
                raise ConfigurationError(
                    unknown(f"verb of {kind}", verb, self._wrapper.verbs)
                )
        drawn = {known[name]: chance for name, chance in chances.items() if chance}
        return dict.fromkeys(verbs, drawn)


class Chaos:
    """What the chaos wrappers have in common: they can be told at any time.

    Attributes:
        fates: What may befall a call.
        verbs: The names of the calls.
    """

    fates: ClassVar[frozenset[Fate]]
    verbs: ClassVar[tuple[str, ...]]
    _chances: Chances

    def calm(self) -> None:
        """Let every call through from now on."""
        self._chances.calm()

    def trouble(
        self, *, verbs: Collection[str] | None = None, **chances: float
    ) -> None:
        """Make trouble from now on; what is not said here is as was said at first.

        Raises:
            ConfigurationError: There is no such verb or fate, or a chance is none.
        """
        self._chances.trouble(verbs, chances)


def check_chance(name: str, chance: object) -> None:
    """Refuse what is no chance.

    Raises:
        ConfigurationError: It says what was wanted, and what was found.
    """
    if not is_number(chance) or not 0.0 <= chance <= 1.0:
        raise ConfigurationError(
            f"{name} must be a chance from 0.0 to 1.0, got {chance!r:.80}"
        )
