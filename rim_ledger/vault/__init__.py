"""Encryption: the key ring, personal keys, sealed files, and the erasure register."""
