"""What of requests is counted, and how many series that may become."""

from dataclasses import dataclass

from proxy.model.bounds import Count


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """What /metrics shows of requests."""

    requests: bool = True
    """Requests, streams and tokens are counted as they end. false: only what is read when somebody looks, such as the
    state of backends."""
    models: Count = 64
    """Values that the label `model` may have: those named here first, then those that engines list, in the order in
    which they are asked for. All others are `other`."""
    tenants: Count = 64
    """Values that the label `tenant` may have: those with an entry in `tenants`, in this order. All others are
    `other`."""
    series: Count = 200_000
    """`tidegate check` warns when the file makes more series than this possible."""
