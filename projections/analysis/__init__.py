"""The log for analysts: exports, replays, backtests."""
