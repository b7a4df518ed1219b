"""Learning: policies and the algorithms that train them; they know tensors, not databases."""
