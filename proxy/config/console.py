"""Who may open the admin port's page, and what may be done there."""

from typing import Annotated

from pydantic import Field

from proxy.config.plain import Settings

_HOST = r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*"
_MAX_HOSTS = 64


class ConsoleSettings(Settings):
    """The page on the admin port, and the names by which that port may be asked."""

    hosts: Annotated[
        tuple[Annotated[str, Field(max_length=253, pattern=rf"^{_HOST}$")], ...], Field(max_length=_MAX_HOSTS)
    ] = ()
    """Names in Host headers to be answered beside addresses and names without dots, for scrapes and pages by DNS name:
    in lower case, without a port, such as `tidegate.llm.svc`, or `*.example.com` for every name that ends so. Whoever
    controls such a name controls what a browser lets pages of it read here."""
    playground: bool | None = None
    """Whether the page may send requests: through the admin port, on the backends' keys. null: where `admin` is an
    address of loopback."""
