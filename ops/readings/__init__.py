"""What can be read off a running stack, one part a file; the verbs print it, `ops.verdict` judges it."""
