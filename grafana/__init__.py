"""Dashboards for Grafana, built by ``python -m grafana.build``; why they are so: ``README.md`` beside this."""
