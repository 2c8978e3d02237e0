"""What leaves the service: messages, top-ups, calls to providers."""
