"""The Django project that the tests of the Django door run in."""
