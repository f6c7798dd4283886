"""YAML to one typed, frozen tree: the schema, the strict loader, its diagnostics and the generated reference."""
