"""The HTTP response cache: rules without I/O, and the middleware that lives by them."""
