"""A page that is to be made anew, as it travels in an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from holdover.regions.numbers import LONGEST_TEXT
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import Request, Target
from holdover.wsgi.http.pages import Place
from holdover.wsgi.http.policy import Normalise
from holdover.wsgi.http.variants import Variants, primary_key, selected


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page that is to be made anew.

    Attributes:
        target: Its URI.
        varied: Names of the request fields that it varies by.
        fields: What these are.
        generation: Of the variants that it belongs to; empty if it does not vary.

    Raises:
        TypeError: It is none: whoever can write to a queue has made it up.
    """

    target: Target
    varied: tuple[str, ...]
    fields: dict[str, str]
    generation: str

    def __post_init__(self) -> None:
        texts = [*asdict(self.target).values(), *self.varied, self.generation]
        texts += [*self.fields, *self.fields.values()]
        if not all(isinstance(one, str) and _is_line(one) for one in texts):
            raise TypeError("a page is wanted by lines of text")
        # Whatever the page is made from is in its key, or it would be another's.
        if not set(self.fields) <= set(self.varied):
            raise TypeError("a page is wanted by fields that are not in its key")
        if bool(self.varied) != bool(self.generation):
            raise TypeError("a page varies if it belongs to variants, and only then")

    @classmethod
    def by(cls, request: Request, place: Place) -> Self:
        """Want what answers *request*; only fields in the key go along."""
        variants = place.variants
        varied = () if variants is None else variants.varied
        given = {name: request.headers.joined(name) for name in varied}
        return cls(
            request.target,
            varied,
            {name: value for name, value in given.items() if value is not None},
            "" if variants is None else variants.generation,
        )

    def as_data(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {**asdict(self), "varied": list(self.varied)}

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Read plain data.

        Raises:
            TypeError: It is something else.
        """
        try:
            target, varied = Target(**data["target"]), tuple(data["varied"])
            return cls(**{**data, "target": target, "varied": varied})
        except (AttributeError, KeyError, ValueError) as error:
            raise TypeError(f"no page is wanted by {data!r:.200}") from error

    def place(self, normalise: Mapping[str, Normalise]) -> Place:
        """Give where it is kept."""
        primary = primary_key(self.target)
        if not self.generation:
            return Place(primary, primary)
        variants = Variants(self.varied, self.generation)
        chosen = selected(self.varied, Headers(self.fields.items()), normalise)
        return Place(primary, variants.key(primary, chosen), variants, chosen)

    def request(self) -> Request:
        """Give the request that nobody sent."""
        return Request("GET", self.target, Headers(self.fields.items()))


def _is_line(text: str) -> bool:
    return len(text) <= LONGEST_TEXT and not _CONTROLS & set(text)


_CONTROLS = {chr(code) for code in (*range(32), 127)} - {"\t"}
