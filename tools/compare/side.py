"""One of the programs that are timed in turn."""
import json
import os
import subprocess
import tempfile
import threading

PATIENCE = 900  # seconds for a side to get ready (torch.compile takes minutes), and for a run


class SideFailed(Exception):
    pass


class Side:
    """A program that does one run for every line it is sent, and prints its ms."""

    def __init__(self, name, command, environment):
        self.name, self.ms = name, []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, env=os.environ | environment)
        self.read_line()  # ready

    def read_line(self):
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        return line or self.fail()

    def fail(self):
        status = self.process.wait()
        self.errors.seek(0)
        said = [line.strip() for line in self.errors if line.strip()]
        raise SideFailed(f"{self.name}: " + (said[-1] if said and status > 0 else f"ended with status {status}"))

    def run(self):
        try:
            print(file=self.process.stdin, flush=True)
        except BrokenPipeError:
            self.fail()
        line = self.read_line()
        try:
            self.ms.append(float(line))
        except ValueError:
            raise SideFailed(f"{self.name}: wanted the ms of a run, got: {line.strip()}") from None

    def end(self):
        """What it has to say at the end."""
        self.process.stdin.close()
        said = [line for line in self.process.stdout if line.startswith("{")]
        return json.loads(said[-1]) if said else self.fail()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
