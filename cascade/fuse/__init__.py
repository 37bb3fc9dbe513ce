"""Several rankings into one, as pure functions."""
