"""A cached function of the project's."""

from holdover import registry

prices = registry.region("catalogue prices").configure("holdover.memory")


@prices.cache_on_arguments()
def price_of(article):
    """Give the price, as a text."""
    return f"price {article}"
