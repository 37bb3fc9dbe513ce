"""Admission before work: who may start now, at which plan, and on whose quota."""
