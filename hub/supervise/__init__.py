"""Child processes: started, watched, started again with back-off, and stopped in order."""
