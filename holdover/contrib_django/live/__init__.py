"""The regions of a project in its admin: figures, a look at keys, invalidation."""
