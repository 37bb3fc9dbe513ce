"""Loads a server as the world would: requests come when they come, and what each waited is counted from then."""
