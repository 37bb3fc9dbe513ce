"""The Python client of a Cascade server."""
