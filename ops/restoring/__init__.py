"""What `pgstack restore` works out before anything is done: the target, the WAL on the way to it, the plan."""
