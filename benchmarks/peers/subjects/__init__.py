"""Who is measured: one module per library, one function per store.

Each function gets a `Place` and a `Maker`, and gives what is timed: something to be
called without arguments, or, of asyncio's libraries, a coroutine function. What it
gives must come out of the cache. The module is loaded only in the process of a subject
of its own.
"""
