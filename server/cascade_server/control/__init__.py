"""The control plane: who may use this server and what it runs, kept in a store and changed while it runs."""
