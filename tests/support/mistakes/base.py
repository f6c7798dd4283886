"""A file taken apart: where each option stands, by PyYAML's own marks and not by the loader that is tested."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.support.mistakes.bases import BASES

Path = tuple[str | int, ...]

NAMED_BY_PEOPLE = ("aliases", "bias", "weights", "labels", "tokenizers", "stages")
"""What stands below is no option but a name."""


class Place(NamedTuple):
    """One key with its value, or one entry of a list (no key). Lines and columns from 0, as PyYAML counts."""

    path: Path
    key: Any
    value: Any

    @property
    def line(self) -> int:
        return int((self.key or self.value).start_mark.line)

    @property
    def column(self) -> int:
        return int((self.key or self.value).start_mark.column)

    @property
    def name(self) -> str:
        return str(self.path[-1])

    @property
    def is_scalar(self) -> bool:
        return isinstance(self.value, yaml.ScalarNode)

    @property
    def text(self) -> str:
        return str(self.value.value)


class Base:
    """One of the files, taken apart."""

    def __init__(self, name: str) -> None:
        self.name, self.text = name, BASES[name]
        self.lines = self.text.split("\n")
        self.places = list(_places(yaml.compose(self.text), ()))
        self.keyed = [one for one in self.places if one.key is not None]
        self.options = [one for one in self.keyed if not set(NAMED_BY_PEOPLE) & set(one.path[:-1])]

    def is_block(self, place: Place) -> bool:
        """Whether it has a line of its own, dashes aside."""
        return not self.lines[place.line][: place.column].strip(" -")

    def with_value(self, place: Place, text: str) -> str:
        """The file with other text where that value stands."""
        node = place.value
        return self.text[: node.start_mark.index] + text + self.text[node.end_mark.index :]

    def with_key(self, place: Place, text: str) -> str:
        """The file with other text where that key stands."""
        return self.text[: place.key.start_mark.index] + text + self.text[place.key.end_mark.index :]

    def with_line(self, number: int, *lines: str) -> str:
        """The file with other lines instead of line `number`, from 0."""
        return "\n".join([*self.lines[:number], *lines, *self.lines[number + 1 :]])


def _places(node: Any, path: Path) -> Iterator[Place]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield Place((*path, key.value), key, value)
            yield from _places(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield Place((*path, index), None, value)
            yield from _places(value, (*path, index))
