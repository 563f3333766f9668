"""From the disk into the catalog: walking, watching, reading headers, hashing."""
