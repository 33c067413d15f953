"""A module with functions decorated in Beaker's way, before any region is there."""

from holdover.wsgi.beaker.cache import cache_region

runs = []


@cache_region("beaker shop", "price")
def price(article, currency="EUR"):
    """Note the run."""
    runs.append(article)
    return [article, currency, len(runs)]


@cache_region("beaker shelf")
def shelf(article):
    """Note the run."""
    runs.append(article)
    return len(runs)
