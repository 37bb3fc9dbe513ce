"""An evaluation as one HTML file that opens anywhere, without a network."""

from cascade.evaluate.html.page import render

__all__ = ["render"]
