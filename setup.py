"""For tools that still look here; everything is said in pyproject.toml."""

from setuptools import setup

setup()
