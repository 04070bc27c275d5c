"""What the paper, the authors' data and the vendors print."""
