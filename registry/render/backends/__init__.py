"""Those who draw: one module each, with a `draw` that takes a packed batch and returns a packed answer."""
