"""What all rooms ask of the project: its settings, secrets and database."""
