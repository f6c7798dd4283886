"""Prompts of which a beginning is computed right now that others may have, too: the blocks, and by whom.

Owns that map. An engine finds in its cache only what is computed already: whoever comes with the same beginning before
that has it computed a second time.
"""

from typing import Final

from proxy.core.learn.entry import Entry

_MOST_BLOCKS: Final = 65_536
"""On one backend; further prompts lead nobody."""


class Leading:
    """Of one backend."""

    __slots__ = ("by_block",)

    def __init__(self) -> None:
        self.by_block: dict[int, Entry] = {}

    def begin(self, entry: Entry, chain: tuple[int, ...], held: int) -> None:
        """A prompt goes out of which the first `held` blocks are there already."""
        if len(self.by_block) + len(chain) > _MOST_BLOCKS:
            return
        entry.leads, entry.led_from = chain[held:], held
        for block in entry.leads:
            self.by_block.setdefault(block, entry)

    def end(self, entry: Entry) -> None:
        """It is computed, or nobody is at it any more."""
        for block in entry.leads:
            if self.by_block.get(block) is entry:
                del self.by_block[block]
        entry.leads = ()
