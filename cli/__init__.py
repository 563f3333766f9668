"""The command line program `loras`."""
