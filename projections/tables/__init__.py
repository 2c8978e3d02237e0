"""Read tables: how they are declared, made and written."""
