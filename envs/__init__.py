"""Games: batched environments that know tensors, not learners."""
