"""The pages for people: search, one lora, progress. Made on the server; no page needs JavaScript."""
