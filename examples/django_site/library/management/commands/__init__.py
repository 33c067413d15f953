"""``manage.py site`` and ``manage.py worker``."""
