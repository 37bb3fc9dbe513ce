"""A load test as one HTML file that opens anywhere, without a network."""

from cascade.load.html.page import render

__all__ = ["render"]
