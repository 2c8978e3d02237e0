"""What this installation has: its settings, database, senders and files."""
