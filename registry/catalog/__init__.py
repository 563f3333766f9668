"""The catalog: the only package that knows SQL."""
