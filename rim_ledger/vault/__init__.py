"""Keys and what they seal: the key ring, personal keys, sealed files, who was erased."""
