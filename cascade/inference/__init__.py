"""Models on silicon: token-budget batches and the queue in front of a model."""
