"""The log for analysts: exports, replays, back-tests."""
