"""What happens to the built book: its chapters alone, its PDF, its release, and how it is cited."""
