"""Measuring a cascade stage by stage on judged collections."""
