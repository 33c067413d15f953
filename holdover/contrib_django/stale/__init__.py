"""Stale serving of what is read by get() and later written by set()."""
