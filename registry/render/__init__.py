"""Pictures of what adapters do: base models, adapters put on them, many in one batch. Needs torch."""
