"""Proofs over the log: Merkle trees, signed checkpoints, verification."""
