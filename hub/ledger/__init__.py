"""What became of every message: received = stored + refused (by reason) + duplicate + handled, per node and hour.

    model     what comes in (Settled) and what is shown
    tracker   sequence numbers of one session: missing, late, repeats; pure
    books     the running counts of all nodes, in memory; pure
    tables    their SQL
    ledger    the durable ledger: a journal of what was settled, folded into the tables now and then

*Sequence numbers.* A session starts its numbers at 1: all numbers below the first that arrives are missing. A node
that never named a session starts at the first number that arrives, and lower ones count as repeats. Naming the current
session again (reconnect, restart of the hub) changes nothing; naming another one that is still remembered (two nodes
with one id) goes on where that one was. The *watermark* is the number up to which all were seen, dropped or given up.

    expected = seen once + missing + dropped by the node          (per session; ``late`` is part of seen once)

A number that is skipped is missing from then on, in the row of that hour; when it arrives after all, it moves from
missing to late in that same row, so that each row tells what became of its hour. What the node says it dropped moves
likewise. A number that was seen, dropped or given up before is a repeat.
"""

from hub.ledger.ledger import Ledger
from hub.ledger.model import Counts, HourRow, LedgerRow, SessionRow, Settled, Watermark

__all__ = ["Counts", "HourRow", "Ledger", "LedgerRow", "SessionRow", "Settled", "Watermark"]
