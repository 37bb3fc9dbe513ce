"""Better scores for few candidates."""
