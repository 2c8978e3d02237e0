"""From the log to the read tables: the follower, rebuilds, states of the past."""
