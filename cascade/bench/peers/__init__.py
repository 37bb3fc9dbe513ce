"""Peers that need an environment of their own: a process for each, which takes its turn when it is told to."""
