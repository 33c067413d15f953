"""The main job, on real input: ``holdover demo``.

A site that searches the source of the Python standard library, under load from many
visitors at once, four times: without a cache, with plain expiry, with dogpile.cache,
and with Holdover.
"""
