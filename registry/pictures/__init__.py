"""Images and videos of strangers: what they are, a thumbnail made at arm's length, a place for them."""
