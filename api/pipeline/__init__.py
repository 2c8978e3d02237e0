"""The road of a request: from a route by the front, the desk and a decision to an answer."""
