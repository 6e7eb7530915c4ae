"""Remembers, serves, delivers."""
