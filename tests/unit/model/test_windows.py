"""Which window holds where."""

from proxy.config.plain import read
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.endpoint import Endpoint
from proxy.model.windows import EndpointWindow, Window, Windows, WindowSettings

EMBEDDINGS = Endpoint.EMBEDDINGS


def test_a_class_goes_before_an_endpoint_and_that_before_the_default() -> None:
    of_classes = {
        "own": read(WindowSettings, {"mode": "fixed", "max_wait": "50ms"}),
        "silent": WindowSettings(mode="off"),
        "none": None,
    }
    windows = Windows(of_classes, [EndpointWindow(endpoint="embeddings", mode="fixed", max_jobs=4)])
    assert windows.of("own", EMBEDDINGS) == Window(False, 0.05, 32, 8192)
    assert windows.of("silent", EMBEDDINGS) is None
    assert windows.of("none", EMBEDDINGS) == Window(False, 0.01, 4, 8192)
    assert windows.of("none", Endpoint.SCORE) == Window(True, 0.01, 32, 8192)


def test_what_only_passes_has_none() -> None:
    windows = Windows({"interactive": None})
    assert windows.of("interactive", Endpoint.MODELS) is None
    assert windows.of("interactive", Endpoint.OTHER) is None
    assert windows.of("another", EMBEDDINGS) is None


def test_a_mode_alone_is_a_window() -> None:
    classes = with_built_in((read(ClassSettings, {"name": "bulk", "window": "off"}),))
    windows = Windows({name: entry.window for name, entry in classes.items()})
    assert windows.of("bulk", EMBEDDINGS) is None
    assert windows.of("interactive", EMBEDDINGS) is not None
