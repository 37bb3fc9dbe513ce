"""Documents, and what is searched."""
