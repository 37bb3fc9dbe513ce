"""Between the wire's messages and the engine's values: requests are checked here and nowhere else."""
