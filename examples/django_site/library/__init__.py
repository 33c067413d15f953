"""The standard library of the Python that runs the site, as articles."""
