"""A ranking engine that runs a cascade of retrievers, fusers and rerankers within a budget."""
