"""Holdover in two steps: ``python examples/quickstart.py``."""

import time
from collections.abc import Callable

from holdover import make_region

# 1. Cache what is expensive: the second call costs next to nothing.

words = make_region("words").configure("holdover.memory", expiration_time=300)


@words.cache_on_arguments()
def longest_word(text: str) -> str:
    time.sleep(0.5)  # stands for a slow query
    return max(text.split(), key=len)


# 2. Keep serving: past its expiration_time a value is stale. Callers still get it at
#    once, while one thread makes the next value behind their backs.

news = make_region("news").configure(
    "holdover.memory", expiration_time=0.2, runner="thread"
)


@news.cache_on_arguments()
def headline() -> str:
    time.sleep(0.5)  # stands for a slow service
    return f"The news of second {time.time():.1f}"


def show(call: Callable[[], str]) -> None:
    started = time.perf_counter()
    answer = call()
    waited = time.perf_counter() - started
    print(f"{1000 * waited:8.2f} ms  {answer}")


if __name__ == "__main__":
    print("A miss, then a hit:")
    for _ in range(2):
        show(lambda: longest_word("keep serving the value that you have"))

    print("A miss, then stale values at once, until the next one is made:")
    for _ in range(6):
        show(headline)
        time.sleep(0.25)
