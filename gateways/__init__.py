"""Gateways, one folder for each foreign protocol."""
