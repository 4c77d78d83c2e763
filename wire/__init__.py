"""The contract that every process shares: topics, messages, payload formats and the node session."""
