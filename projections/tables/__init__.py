"""Read tables: declaration, schema, writing."""
