"""A process of a shop that shares its figures: asks, says so, and stays until told.

    python counted_shop.py URL COUNT

It asks COUNT times for one value, of which the first may be a miss. For each line that
it reads it asks as often again; at the end of its input it ends.
"""

import sys

from holdover import make_region

EVERY = 0.2


def configured(url):
    """Make the shop's region, as each of its processes does."""
    return make_region("counted").configure(
        url, 600, unsigned_pickle=True, figures_every=EVERY
    )


def main(url, count):
    """Ask, and ask again."""
    shop = configured(url)

    @shop.cache_on_arguments()
    def price(article):
        return article

    while True:
        for _ in range(int(count)):
            price(17)
        sys.stdout.write("asked\n")
        sys.stdout.flush()
        if not sys.stdin.readline():
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
