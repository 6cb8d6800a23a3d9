"""What all workers do: a run for every line of standard input."""
import json
import os
import resource
import sys
import time

import numpy as np

# Engines print what they like: to standard error. Standard output is for whoever paces the runs.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def pixels_elsewhere(scores, step):
    """The share of pixels that are of another class than Pixelwise says."""
    return float(np.mean(scores.argmax(1) != np.asarray(step["prediction"])[..., 0]))


def serve(run, said):
    """Warms up, answers "ready", then the ms of a run for every line that is read; at the end `said` and the peak memory."""
    run()
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print((time.perf_counter() - start) * 1e3, file=answers, flush=True)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rss_mb": rss} | said), file=answers, flush=True)
