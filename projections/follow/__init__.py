"""From log to read tables: follower, rebuild, past states."""
