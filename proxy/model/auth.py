"""Who may come in, and how they are told apart."""

from dataclasses import dataclass
from typing import Annotated, Literal

from proxy.model.bounds import Bounds, Form

AuthMode = Literal["off", "none", "keys"]
MAX_NETWORKS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Whether clients must say who they are."""

    mode: AuthMode = "off"
    """`keys`: by an API key of `tenants`, else 401. `off`: nobody is asked, which only a `listen` on loopback may say.
    `none`: the same, meant to be so on every network."""
    header: Annotated[str, Form.HEADER] | None = None
    """Header in which a proxy in front says whose a request is, such as `x-forwarded-user`; believed from the addresses
    in `from` alone, else as if it were not there. Beside `mode: keys` either is enough; else nothing else is."""
    from_: Annotated[tuple[Annotated[str, Form.NETWORK], ...], Bounds(max_length=MAX_NETWORKS)] = ()
    """Addresses of the proxies in front, such as `10.0.0.0/8`."""
    forward_authorization: bool | None = None
    """Whether what clients say of themselves (`authorization`, `x-api-key`, `api-key`) reaches engines that have no
    `api_key`. null: where nobody is asked, but for keys of `tenants`."""

    @property
    def asks(self) -> bool:
        """Whether there is anybody who may not come in."""
        return self.mode == "keys" or self.header is not None
