"""Every path of the admin port stands in deploy/README.md with its method, and nothing else does."""

import re
from pathlib import Path
from typing import Any

from proxy.app.reload_routes import ReloadRoutes
from proxy.live.admin import METHODS
from proxy.live.page.console import PATHS

GUIDE = Path(__file__).parents[2] / "deploy" / "README.md"


def test_every_path_is_told() -> None:
    nothing: Any = None
    added = ReloadRoutes(nothing, nothing, nothing).routes()
    methods = {**METHODS, **{path: route.methods for path, route in added.items()}, **dict.fromkeys(PATHS, ("GET",))}
    section = GUIDE.read_text().partition("\n## The admin port\n")[2].partition("\n## ")[0]
    told = re.findall(r"`(GET|POST) (/[a-z/]*)", section)
    assert sorted(told) == sorted((some[0], path) for path, some in methods.items())
