"""What arithmetic says: pure functions of shapes and numbers; no torch, no pandas."""
