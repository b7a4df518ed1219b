"""Card games, batched."""
