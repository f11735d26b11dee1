"""Learning to write: a small causal language model follows the texts of a teacher."""
