"""Models of every kind, for what fits the ORM."""
