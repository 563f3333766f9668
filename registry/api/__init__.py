"""The web interface: our own routes, the dialects of other tools, and the door in front of both."""
