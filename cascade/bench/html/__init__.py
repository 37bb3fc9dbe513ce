"""Benches as one HTML file that opens anywhere, without a network."""

from cascade.bench.html.page import render

__all__ = ["render"]
