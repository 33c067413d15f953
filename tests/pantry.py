"""A module with functions that nobody decorates, for orders that name them."""

import functools
from os import system

from holdover import make_region

shelf = make_region("shelf")
other = make_region("another shelf")
RUNS = []


def fetch(article, *, sort="ripe"):
    """Note the run, and return."""
    RUNS.append(article)
    return [article, sort]


def __hidden(article):
    RUNS.append(article)
    return article


@other.cache_on_arguments()
def shelved(article):
    """Be cached by another region."""
    return article


class Jar:
    """A class, whose methods no message may name."""

    def __init__(self, article=0):
        RUNS.append(article)

    @staticmethod
    def opened(article):
        """Note the run."""
        RUNS.append(article)


class Opener:
    """An object that can be called."""

    def __call__(self, article):
        RUNS.append(article)


opener = Opener()
borrowed = system
partial = functools.partial(fetch, 1)
anonymous = lambda article, /: RUNS.append([article])  # noqa: E731 - the case
alias = fetch
