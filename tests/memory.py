"""How much memory something takes while it is done."""

import contextlib
import tracemalloc


class Taken:
    """What was taken.

    Attributes:
        most: The bytes that Python had at once, beyond those that it had before; known
            when it is over.
        left: Those of them that it still has then.
    """

    most = left = 0


@contextlib.contextmanager
def taken_memory():
    """Watch what memory the block takes."""
    taken = Taken()
    tracemalloc.start()
    try:
        yield taken
        taken.left, taken.most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
