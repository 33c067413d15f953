"""What a web process with a runner and a worker without one have in common."""

import os

from fleet_notes import note, notes

from holdover import make_region

__all__ = ["notes", "price", "region"]
region = make_region("shared").configure(os.environ["FLEET_CACHE"], 60)


@region.cache_on_arguments()
def price(article):
    """Note who creates, and say who did."""
    note(f"runs-{article}", os.getpid())
    return [article, os.getpid()]
