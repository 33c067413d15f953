"""Tags for Django's templates."""
