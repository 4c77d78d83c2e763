"""The hub's own certificate authority: what it signs, keeps, renews and revokes."""
