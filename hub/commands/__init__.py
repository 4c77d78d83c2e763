"""Commands: sent, seen, answered; every step recorded in a journal whose rows are chained by their digests."""
