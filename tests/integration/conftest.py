"""The fixtures of tests over sockets."""

from tests.support.fixtures import leak_probe, start_backend, start_pair, start_proxy

__all__ = ["leak_probe", "start_backend", "start_pair", "start_proxy"]
