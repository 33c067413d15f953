"""The forms of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from holdover.contrib_django.caches.known import KnownRegion
from holdover.contrib_django.live.invalidating import EVERYTHING, KEY, PREFIX, TAG

_LONGEST = 1000  # characters
_WHAT = {
    KEY: _("the value of a key or of a call"),
    TAG: _("everything with a tag"),
    PREFIX: _("all keys that begin with"),
    EVERYTHING: _("the whole region"),
}


class RegionForm(forms.Form):
    """Chooses a region."""

    region = forms.ChoiceField(label=_("Region"))

    def __init__(self, regions: Sequence[KnownRegion], *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._by_label = {one.label: one for one in regions}
        self.fields["region"].choices = [(label, label) for label in self._by_label]

    @property
    def chosen(self) -> KnownRegion:
        """The region that was chosen, once this is valid."""
        return self._by_label[self.cleaned_data["region"]]


class LookForm(RegionForm):
    """Asks for a key."""

    text = forms.CharField(
        label=_("Key or call"),
        max_length=_LONGEST,
        strip=False,
        help_text=_("As the application writes it, or a call: price_of(17)"),
    )
    with_value = forms.BooleanField(label=_("Show the value"), required=False)


class InvalidateForm(RegionForm):
    """Asks what is to be invalidated."""

    what = forms.ChoiceField(label=_("Invalidate"), choices=list(_WHAT.items()))
    text = forms.CharField(
        label=_("Key, call, tag or prefix"),
        max_length=_LONGEST,
        required=False,
        strip=False,
    )
    soft = forms.BooleanField(
        label=_("Serve the old values until there are new ones"), required=False
    )
    sure = forms.BooleanField(label=_("Yes, the whole region"), required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse half an answer, and to empty a region by a slip."""
        given: dict[str, Any] = super().clean()
        if given.get("what") == EVERYTHING:
            if not given.get("sure"):
                self.add_error("sure", _("Say that you mean the whole region."))
        elif not given.get("text") and "text" not in self.errors:
            self.add_error("text", _("Say which."))
        return given

    def in_words(self) -> str:
        """Say what was done, for the log, once this is valid."""
        given = self.cleaned_data
        how = _("Expired") if given["soft"] else _("Invalidated")
        which = "" if given["what"] == EVERYTHING else f" {given['text']!r}"
        return f"{how}: {_WHAT[given['what']]}{which}"
