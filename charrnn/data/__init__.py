"""What training reads: a text as ids of a vocabulary, its parts, and the batches made of them."""
