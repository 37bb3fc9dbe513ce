"""Training the models that a cascade runs."""
