"""Whole pages in a cache: one request renders, stale ones are made anew behind it."""
