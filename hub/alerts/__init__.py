"""Alerts: what became of each event of the rules, who knows of it, and who is told."""
