"""How commands say the `admin_key` of the proxy that they ask.

Owns where it is looked for: in the configuration that names it, else in the environment; never on the command line,
which every process of the machine can read.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.config.schema import Config

VARIABLE = "TIDEGATE_ADMIN_KEY"
_HEADER = "x-tidegate-admin-key"


def admin_key(config: "Config | None") -> dict[str, str]:
    """Headers for a question to the admin port; none where there is no key, or it is not known here."""
    if config is not None and config.admin_key is not None:
        return {_HEADER: config.admin_key.get_secret_value()}
    key = os.environ.get(VARIABLE, "")
    return {_HEADER: key} if key and key.isascii() and key.isprintable() else {}
