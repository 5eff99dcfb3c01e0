"""The example as a process: on files of its own and a free port, killed and started again, its audit read from its output."""

import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path


class Example:
    """With the policy that the example has by itself."""

    def __init__(self, program: str):
        self.folder = tempfile.TemporaryDirectory(prefix="interop-")
        self.program = program
        # A file rather than a pipe: what was written before an answer can be read after it.
        self.log = Path(self.folder.name) / "log"
        self.log.touch()
        self.port = 0
        self.start()

    def start(self) -> None:
        started = len(self.addresses())
        options = {"port": self.port}
        options |= {name: Path(self.folder.name) / name for name in ("file", "keys")}
        args = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        with self.log.open("a") as log:
            self.process = subprocess.Popen([self.program, *args], stdin=subprocess.DEVNULL, stdout=log)
        while len(self.addresses()) == started:
            if self.process.poll() is not None:
                raise RuntimeError("the example has ended")
            time.sleep(0.02)
        self.url = self.addresses()[-1]
        self.port = self.url.rsplit(":", 1)[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.kill()
        self.folder.cleanup()

    def audit(self) -> Counter[str]:
        """How often each action is in the audit."""
        return Counter(words[1] for words in self.lines() if len(words) == 4)

    def addresses(self) -> list[str]:
        return [words[2] for words in self.lines() if words[0] == "listening"]

    def lines(self) -> list[list[str]]:
        return [line.split(" ") for line in self.log.read_text().splitlines()]
