"""Reading files and hashing them: the head, one pass for every digest, and verdicts on claimed hashes."""
