"""Pure readers of file formats: bytes, strings and mappings in, frozen values out, odd input as notes."""
