"""Decides what to say. No database, no web framework."""
