"""Durable jobs: who runs what, how far it is, and what came of it."""
