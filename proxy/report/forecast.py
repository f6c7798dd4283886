"""What a forecast carries of how far it may be off, and from where on none is made."""

from typing import Final

REFUSED_ABOVE: Final = 0.15
"""Relative error of an engine model on held-out time: nothing is forecast with one that is further off."""
