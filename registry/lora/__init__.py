"""The mathematics of adapters: which layers they change, by how much, and how alike two of them are."""
