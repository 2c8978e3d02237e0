"""Configuration: settings, database, providers and files."""
