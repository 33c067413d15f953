"""Sessions: what they are, where they are kept, and the middleware that opens them."""
