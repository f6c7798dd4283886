"""Panels of files and batches, on the dashboard of usage."""

from typing import Final

from proxy.obs.monitoring.panels import Row, graph
from proxy.obs.monitoring.queries import Queries

_OF: Final = Queries("instance")


def batches() -> Row:
    """All of them."""
    return Row(
        "Batches",
        (
            graph(
                "Lines without a result",
                "short",
                "queued: on the disk; running: on an engine, or in line for one (`store.ahead`).",
                (_OF.now("tidegate_batch_lines", ("state",)), "{{state}}"),
                stacked=True,
            ),
            graph(
                "Lines that end",
                "cps",
                "retried: an engine failed at one, and it goes again.",
                (_OF.rate("tidegate_batch_lines_ended_total", ("result",)), "{{result}}"),
                (_OF.rate("tidegate_batch_lines_retried_total"), "retried"),
            ),
            graph(
                "Tokens of lines",
                "short",
                "Per second, of those that have their result.",
                (_OF.rate("tidegate_batch_tokens_total", ("direction",)), "{{direction}}"),
            ),
            graph(
                "Batches",
                "short",
                "By state, those that ended as long as `store.keep`.",
                (_OF.now("tidegate_batches", ("state",)), "{{state}}"),
                stacked=True,
            ),
            graph(
                "Until all are done",
                "s",
                "By the pace of each; and the age of the oldest that has not ended.",
                (_OF.now("tidegate_batch_eta_seconds", how="max"), "forecast"),
                (_OF.now("tidegate_batch_oldest_seconds", how="max"), "age of the oldest"),
            ),
            graph(
                "How far forecasts were off",
                "percentunit",
                "Of the last batches, as a share of the time that was left.",
                (_OF.now("tidegate_batch_eta_error_ratio", how="max"), "error"),
            ),
            graph(
                "The store's disk",
                "bytes",
                "Files and results, and what they may have (`store.size`).",
                (_OF.now("tidegate_store_bytes"), "used"),
                (_OF.now("tidegate_store_limit_bytes"), "limit"),
            ),
            graph(
                "Files, and pauses",
                "short",
                "paused: proxies whose disk, or budget, is full.",
                (_OF.now("tidegate_store_files"), "files"),
                (_OF.now("tidegate_store_paused"), "paused"),
            ),
        ),
    )
