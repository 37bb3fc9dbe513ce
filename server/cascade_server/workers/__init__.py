"""Several processes that answer on one port, for machines with more cores than one Python process can use."""
