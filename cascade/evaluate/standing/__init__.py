"""The standing evaluation of the embedded weights: which collections, which cascades, and the tables made of them."""
