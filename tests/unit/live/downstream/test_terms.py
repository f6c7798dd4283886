"""On what terms clients are read."""

from proxy.live.downstream.budget import Budget
from proxy.live.downstream.terms import Terms
from proxy.model.limits import Limits
from proxy.wire.headers import HeaderPolicy


def test_everybody_may_come_in_and_nobody_gets_a_tunnel_unless_told_otherwise() -> None:
    terms = Terms(Limits(), HeaderPolicy(), lambda: "id", Budget(1), lambda: 0.0)
    assert (terms.gate, terms.uploads, terms.tunnels) == (None, None, False)
