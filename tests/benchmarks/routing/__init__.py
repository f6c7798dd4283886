"""Policies compared over HTTP."""
