"""A registry and search engine for LoRA model files."""
