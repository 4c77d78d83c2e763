"""The Mosquitto that ``iothub up`` runs: its configuration, accounts and life."""
