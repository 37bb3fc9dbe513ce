"""The listwise tier: a language model scores many passages in one context."""
