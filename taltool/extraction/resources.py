"""Where and how hard an extraction works: processes, devices, threads, cluster."""

from dataclasses import dataclass
from typing import Any

from taltool.errors import UsageError
from taltool.extraction.worker_pool import available_cores
from taltool.registry import did_you_mean

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Concurrency:
    """How hard one process works; no result depends on it.

    threads encode, flow_threads compute flow; readers is the number of videos that are read at once; patience (seconds)
    is how long a video may give nothing before it is given up, 0 = forever.
    """

    threads: int = 1
    flow_threads: int = 1
    readers: int = 1
    patience: float = 300.0


@dataclass(frozen=True)
class Resources:
    """Where and how hard to work; results depend on device, batch and compile in their last digits, on nothing else.

    jobs: processor cores to use, 0 = all (where devices are not processors: processes, 0 = one per device); devices:
    what processes compute on in turn; batch: snippets encoded at once, 0 = what the backbone prefers; engine: `local`,
    or `ray[:ADDRESS]`; patience (seconds): how long a video may give nothing, 0 = forever.
    """

    jobs: int = 1
    devices: tuple[str, ...] = ("cpu",)
    engine: str = "local"
    patience: float = 300.0
    compile: bool = False
    batch: int = 0

    @classmethod
    def on(cls, device: str, engine: str, **further: Any) -> "Resources":
        """What the words of `--device` and `--engine` ask for; further ones are fields of this class.

        Raises UsageError.
        """
        kind, _, _ = engine.partition(":")
        if kind not in ENGINES:
            raise UsageError(f"--engine {engine}: none of {', '.join(ENGINES)}{did_you_mean(kind, list(ENGINES))}")
        # On a cluster the nodes know what they have: each task sees the one device that it is given.
        names = device.split(",")
        devices = tuple(names[:1] if kind == "ray" else [chosen for name in names for chosen in _devices(name)])
        return cls(devices=devices, engine=engine, **further)

    @property
    def batches(self) -> bool:
        """Whether several snippets are encoded at once: processors gain nothing by it."""
        return any(not device.startswith("cpu") for device in self.devices)

    def processes(self, videos: int) -> int:
        """How many processes work on so many videos."""
        wanted = self.jobs or (len(self.devices) if self.batches else available_cores())
        return max(1, min(wanted, videos))

    def concurrency(self, processes: int) -> Concurrency:
        """What each of so many processes on this machine does at once."""
        cores = available_cores() if self.batches or not self.jobs else self.jobs
        share = max(1, cores // processes)
        # Of two threads one gathers pictures while the other waits for its GPU.
        return Concurrency(2 if self.batches else share, share, share if self.batches else 1, self.patience)


def _devices(name: str) -> list[str]:
    """The devices that a word names: `cuda` all of its kind."""
    if name == "cpu":
        return [name]
    import torch

    from taltool.experiment.device import checked_device

    checked_device(name)
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] if name == "cuda" else [name]
