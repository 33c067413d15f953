"""Time for tests of backends whose database judges by a clock of its own."""

from sqlalchemy import text

from holdover.testing import FakeClock


class AgingDatabase(FakeClock):
    """A clock that moves, and makes what a table keeps older by as much.

    Args:
        engine: SQLAlchemy's way to the database.
    """

    def __init__(self, engine):
        super().__init__()
        self._engine = engine

    def advance(self, seconds):
        """Let seconds pass, and bring forward the end of whatever has one."""
        super().advance(seconds)
        with self._engine.begin() as connection:
            for column in ("expires_at", "lapses_at"):
                change = f"UPDATE holdover_cache SET {column} = {column} - :seconds"
                connection.execute(text(change), {"seconds": seconds})
