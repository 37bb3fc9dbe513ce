"""A server and the engine in process, asked the same by processes of their own."""
