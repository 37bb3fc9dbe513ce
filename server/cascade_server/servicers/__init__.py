"""The RPCs, each thin: convert in, call, convert out."""
