"""What a test process needs before it loads torch."""

import os

# Workers share the processors: with threads of its own in each, they wait for one another's and a minute becomes ten.
os.environ.setdefault("OMP_NUM_THREADS", "1")
