"""The CACHES backend, and what is known of the project's caches and regions."""
