"""What this machine does; torch is imported here and nowhere else."""

import os

# torch asks for huge pages, where Linux gives them on request: without them looking up addresses
# takes a good part of the read bandwidth, and fresh memory comes in pieces of 4 kB. Read by torch
# before its first tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
