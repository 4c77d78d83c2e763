"""Where points are kept: the protocol, and the stores that keep it."""
