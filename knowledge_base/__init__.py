"""Knows the facts: entries, their texts, and how to find them. No database, no network."""
