"""The tables of panamia, one file for each group of its document."""
