"""Talking to Civitai: what it knows of files by their hashes, politely and in bulk."""
