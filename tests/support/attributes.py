"""The attributes of a class with slots, compiled or not: a compiled one has no `__slots__` any more."""


def attributes_of(kind: type) -> list[str]:
    """Names of what its instances hold, in the order of the alphabet."""
    return [name for name in dir(kind) if not name.startswith("_") and not callable(getattr(kind, name))]
