"""Who the nodes are: registry, presence, connections, users."""
