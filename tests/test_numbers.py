"""Numbers that others wrote are looked at before anybody reckons with them."""

import json

import pytest

from holdover.regions.numbers import is_count, is_instant, is_number, is_span

HUGE = 10**400  # beyond all floats, and JSON all the same


def read(text):
    """Give what stands in JSON."""
    return json.loads(text)


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (0, {is_number, is_count, is_span, is_instant}),
        (1.5, {is_number, is_span, is_instant}),
        (-1, {is_number}),
        (2**62, {is_number, is_count, is_span}),
        (2**63, {is_number}),
        (1e11, {is_number, is_span}),
        (HUGE, set()),
        (-HUGE, set()),
        (read("NaN"), set()),
        (read("Infinity"), set()),
        (read("-Infinity"), set()),
        (read("true"), set()),
        (read("null"), set()),
        (read('"5"'), set()),
        (read("[5]"), set()),
    ],
)
def test_what_a_number_may_stand_for(value, kinds):
    """No comparison and no sum with one that has passed can fail, or be nonsense."""
    asked = (is_number, is_count, is_span, is_instant)
    assert {one for one in asked if one(value)} == kinds
