"""What this machine does; torch is imported here and nowhere else."""
