"""What is measured: samples, taken in turns, and the rows that compare them."""

import time
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Sample:
    """What one round measured."""

    value: float
    p50: float | None = None  # milliseconds
    p99: float | None = None
    count: int | None = None  # the requests or jobs that were done
    seconds: float = 0
    cpu: dict = field(default_factory=dict)  # seconds of a processor, by the process's name


@dataclass
class Row:
    """One measurement beside another of the same rounds, or beside a number."""

    name: str
    ours: list[Sample]
    unit: str
    against: str = ""
    theirs: list[Sample] | float | None = None

    def ratios(self):
        if isinstance(self.theirs, list):
            return [ours.value / theirs.value for ours, theirs in zip(self.ours, self.theirs)]
        return [ours.value / self.theirs for ours in self.ours] if self.theirs else []

    def cpu(self):
        """Returns the processor time by process: µs for each request or job, or without these, percent."""
        per = {}
        for sample in self.ours:
            for name, seconds in sample.cpu.items():
                share = 1e6 * seconds / sample.count if sample.count else 100 * seconds / sample.seconds
                per.setdefault(name, []).append(share)
        return {name: median(values) for name, values in per.items()}


class Measurements:
    """All rows of a run, and the peak memory of each process."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.rows, self.notes, self.memory, self.curves = [], [], {}, {}
        self.watched = []  # anything with a name and usage()

    def turns(self, subjects, rounds=None):
        """Measures the subjects in turns. A subject is a function that returns a sample. It calls `begin` after
        its preparations."""
        samples = {name: [] for name in subjects}
        for _ in range(rounds or self.rounds):
            for name, subject in subjects.items():
                self.begin()
                sample = subject()
                sample.seconds = time.monotonic() - self.began
                sample.cpu = {name: used - self.before.get(name, 0) for name, used in self._usage().items()}
                samples[name].append(sample)
        return samples

    def begin(self):
        """Begins to count the processor time."""
        self.before, self.began = self._usage(), time.monotonic()

    def _usage(self):
        total = {}
        for process in self.watched:
            seconds, megabytes = process.usage()
            total[process.name] = total.get(process.name, 0) + seconds
            self.memory[process.name] = max(self.memory.get(process.name, 0), megabytes)
        return total

    def add(self, *arguments):
        self.rows.append(Row(*arguments))
