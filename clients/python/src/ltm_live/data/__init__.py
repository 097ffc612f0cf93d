"""JSON values: the conversion, patches, and texts that grow."""
