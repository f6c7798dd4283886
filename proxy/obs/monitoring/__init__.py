"""Dashboards for Grafana and alerts for Prometheus, made from the metrics themselves.

What draws a metric asks `queries`, which knows all of them: a name or a label that is gone is an error, never an empty
panel.
"""
