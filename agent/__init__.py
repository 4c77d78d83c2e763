"""The host agent: collectors, commands and the session that carries both."""
