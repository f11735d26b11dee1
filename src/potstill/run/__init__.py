"""Memory: the stages of a task, and the folder that remembers them."""
