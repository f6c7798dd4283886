"""What one call of the scheduler says: commands, in the order in which they are to be carried out."""

from proxy.model.commands import Command


class Outbox:
    """One per scheduler: filled while a call decides, and emptied at its end."""

    __slots__ = ("_commands",)

    def __init__(self) -> None:
        self._commands: list[Command] = []

    def add(self, command: Command) -> None:
        """One more."""
        self._commands.append(command)

    def extend(self, commands: list[Command]) -> None:
        """More of them."""
        self._commands += commands

    def take(self) -> list[Command]:
        """All, which are then the caller's."""
        commands, self._commands = self._commands, []
        return commands
