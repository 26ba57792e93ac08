"""Odd inputs from a seed: texts, files, folders, options, and what happens to a file while it is read."""

import bz2
import codecs
import encodings.aliases
import gzip
import json
import lzma
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARKS = [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, b"+/v8"]
INVALID = [
    b"\xc0\x80",
    b"\xe0\x80\x80",
    b"\xed\xa0\x80",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\x80",
    b"\xe2\x98",
    b"\xf0\x9f\x98",
    b"\xfe",
    b"\xff",
    b"\xc3(",
]
# Joined emoji, flags, piled marks, letters whose case or form has another length, separators, controls, jamo.
STRANGE = (
    "👩‍👩‍👧‍👦 👋🏽 🇦🇹🇦 ❤️ z̸͇͌a̷b e\u0301 \u0301x ΑΣ ΑΣΑ İ ẞ ﬁ ﷺ ǆ 각 ｶﾞ ☞é \u1112\u1161\u11ab \u2028 \u2029 \x85 "
    "\x0b\x0c\x1c\x1b[2J\x07\x7f \u202etxt \ufeff \u200d \ufffd \uffff \U0010ffff \ue000"
)
PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
CODECS = sorted(
    {*encodings.aliases.aliases.values(), "utf-8", "utf-16", "utf-32", "utf-8-sig", "utf-16-be", "cp65001", "charmap"}
    | {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "aliases", "mbcs", "oem", "none"}
)
# fmt: off
NUMBERS = [
    "0", "-1", "1", "2", "3", "16", "nan", "inf", "-inf", "1e999", "-0", "0.5", "0.99", "1e-320", "1e308", "1e5", "+1",
    "999999999999999999999", "1" + "0" * 400, "1" * 5000, "1_000", "0x10", "½", "٣", "x", "1,5", "", " 5", "--",
    os.fsdecode(b"\xff"),
]
WORDS = [
    "", "x", "strict", "-", "\n", "\x1b[2J", "utf-8", "é", "a" * 5000, "%s{0}", "None", os.fsdecode(b"\xed\xa0\x80"),
]
# fmt: on
NAMES = [
    *(b"a.txt", b"a.TXT", b"new\nline.txt", b"\xff\xfe.txt", b"\xed\xa0\x80", b"\x1b[2Jred.txt", b"-n", b"--", b" "),
    *(b"[x].txt", b"*", b"~", b"%s{0}.txt", b"a'b\"c$(d)", b"x" * 250, b".hidden.txt", b"x.safetensors", b"y.json"),
    *(
        "☞.txt".encode(),
        "e\u0301.txt".encode(),
        "\u202etxt.a".encode(),
        b"tab\t.txt",
        b"metrics.jsonl",
        b"\\",
        b"a.zst",
    ),
]


class Odd:
    """Makes odd things in `folder`, each a function of the state of `rng`; `closing` is to be called at the end."""

    def __init__(self, rng: random.Random, folder: Path):
        self.rng, self.folder = rng, folder
        self.closing: list[Callable[[], None]] = []
        # Of half of them only the text is odd, or else hardly any would come as far as that.
        self.mild = rng.random() < 0.5
        self._count = 0

    # --- texts ---

    def data(self) -> bytes:
        """Return the bytes of a text."""
        rng, plain = self.rng, self.plain()
        place = rng.choice([0, len(plain) // 2, len(plain), 1023, 8191, rng.randrange(len(plain) + 1)])
        encoding = rng.choice(
            ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-7", "cp1252"]
        )
        mark = rng.choice(MARKS)
        encoded = plain.decode().encode(encoding, "replace")
        return rng.choice(
            [
                lambda: plain,
                lambda: plain,
                lambda: self.strange().encode(),
                lambda: (plain + b"x" * 8192)[:place] + rng.choice(INVALID) + plain[place:],
                lambda: mark[: rng.randint(1, len(mark))],
                lambda: mark[: rng.randint(1, len(mark))] + plain,
                lambda: mark + rng.choice(MARKS) + encoded,
                lambda: plain + mark + plain,
                lambda: encoded,
                lambda: encoded[: len(encoded) - rng.randint(0, 3)],
                lambda: encoded[rng.randint(0, 3) :],
                lambda: encoded + rng.choice([b"\x00\xd8", b"\xd8\x00", b"\x3d\xd8\x00\xde", b"\x00\xdc"]),
                lambda: plain.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\r", b"\r\r\n"])),
                lambda: plain.replace(b" ", b"\0"),
                lambda: bytes(rng.randint(1, 9000)),
                lambda: rng.randbytes(rng.randint(1, 3000)),
                lambda: bytes(range(256)) * rng.randint(1, 40),
                lambda: "".join(rng.choices("ab\n☞\U0001f600\u0301\0\r", k=rng.randint(0, 3))).encode(),
                lambda: (
                    rng.choice(["a", "\n", "\0", "\r", "☞", "\u0301", " "]).encode() * rng.choice([1, 4, 999, 30000])
                ),
            ]
        )()

    def plain(self) -> bytes:
        """Return words, lines of them, of the characters that the models know."""
        rng = self.rng
        words = ["bad", "cafe\nhead\n☞", "é", "deaf", "abc\n"]
        return " ".join(rng.choices(words, k=rng.choice([1, 5, 50, 500, 5000]))).encode()

    def strange(self) -> str:
        """Return characters of every plane, well mixed."""
        rng = self.rng
        points = [rng.randrange(0x110000) for _ in range(rng.choice([0, 3, 300]))]
        drawn = [chr(point) for point in points if not 0xD800 <= point < 0xE000]
        return "".join(rng.sample([*STRANGE, *drawn], k=len(STRANGE) + len(drawn))) * rng.choice([1, 1, 20])

    # --- files ---

    def name(self) -> str:
        """Return a file name that is not taken."""
        self._count += 1
        name = "a.txt" if self.mild else os.fsdecode(self.rng.choice(NAMES))
        return name if not os.path.lexists(self.folder / name) else f"{self._count}{name}"[:250]

    def file(self, data: bytes | None = None, suffix: str = "") -> Path:
        """Write a file under an odd name, now and then packed, damaged, or named as if it were packed."""
        rng = self.rng
        data = self.data() if data is None else data
        name = self.name()
        if rng.random() < (0.1 if self.mild else 0.2):
            packed = rng.choice(list(PACK))
            data = PACK[packed](data)
            suffix = packed if rng.random() < 0.8 else rng.choice([*PACK, ".zst", ".lzma", ".GZ"])
            cut = rng.randrange(len(data))
            damage = rng.choice(["", "", "cut", "flip", "longer", "zeroed"])
            if damage == "cut":
                data = data[:cut]
            elif damage == "flip":
                data = data[:cut] + bytes([data[cut] ^ 1 << rng.randrange(8)]) + data[cut + 1 :]
            elif damage == "longer":
                data += rng.choice([b"\0", b"more", data[:20]])
            elif damage == "zeroed":
                data = data[:cut] + bytes(len(data) - cut)
        path = self.folder / (name[: 250 - len(suffix)] + suffix)
        path.write_bytes(data)
        return path

    def tree(self) -> Path:
        """Make a folder: files, deeper folders, dangling links, loops, a FIFO that nobody writes to; perhaps empty."""
        rng = self.rng
        outer, self.folder = self.folder, self.folder / f"folder{self._count}"
        self._count += 1
        self.folder.mkdir()
        for _ in range(rng.choice([0, 1, 3, 8])):
            rng.choice(
                [
                    self.file,
                    self.file,
                    lambda: (self.folder / self.name()).symlink_to("nowhere"),
                    lambda: (self.folder / self.name()).symlink_to(self.folder),
                    lambda: (self.folder / self.name()).mkdir(),
                    self._pipe,
                    lambda: self.tree() if self._count < 10 else None,
                    lambda: self.file(suffix=".safetensors"),
                ]
            )()
        made, self.folder = self.folder, outer
        return made

    def link(self) -> Path:
        """Make a link to nothing, to itself, to a folder or to a file."""
        path = self.folder / self.name()
        path.symlink_to(self.rng.choice([Path("nowhere"), path, self.folder, Path(os.devnull)]))
        return path

    def _pipe(self) -> Path:
        # No pattern below matches it: whoever opens a pipe waits, as anything does that reads one.
        self._count += 1
        path = self.folder / f"{self._count}.pipe"
        os.mkfifo(path)
        return path

    def fifo(self) -> Path:
        """Make a FIFO to which a text is written as soon as somebody reads it."""
        path, data, stop = self._pipe(), self.data()[:60_000], threading.Event()

        def serve() -> None:
            while not stop.wait(0.001):
                try:
                    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                except OSError:
                    continue
                with open(writer, "wb", buffering=0) as file, suppress(OSError):
                    file.write(data)
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.closing += [stop.set, thread.join]
        return path

    def unreadable(self) -> Path:
        """Make a file or a folder that may not be read; the superuser may, so for him something else."""
        if os.geteuid() == 0:
            return self.link()
        path = self.rng.choice([self.file, self.tree])()
        mode = path.stat().st_mode
        path.chmod(0)
        self.closing.append(lambda: path.chmod(mode))
        return path

    def source(self) -> str:
        """Return a source, as a command takes it."""
        rng = self.rng
        made = rng.choices(
            [
                self.file,
                self.tree,
                self.link,
                self.fifo,
                self.unreadable,
                lambda: Path(os.devnull),
                lambda: (
                    self.folder
                    / rng.choice(["*.txt", "**/*.txt", "[", "nowhere", "*/*.gz", "[!a", "a.txt/b", "y" * 300])
                ),
                lambda: rng.choice(["", "-", ".", "/nowhere", "~", "\x1b[2J", os.fsdecode(b"\xff"), "**nothing**"]),
            ],
            [90, 5, 0, 2, 0, 0, 0, 1] if self.mild else [30, 6, 2, 2, 1, 1, 3, 5],
        )[0]()
        return os.path.relpath(made, self.folder) if isinstance(made, Path) and rng.random() < 0.3 else str(made)

    def vocabulary(self) -> str:
        """Return what --vocab and --against may be given: a vocabulary file, whole or odd."""
        rng = self.rng
        if rng.random() < 0.1:
            return rng.choice(["", "nowhere.json", str(self.tree()), os.devnull, ".json"])
        good = {"format": "charrnn-vocab", "version": 1, "symbols": "".join(sorted({*"bad cafe\nhé☞", *"xyz"}))}
        odd = rng.choice([{}, {}, {"symbols": ""}, {"symbols": "ba"}, {"symbols": "aa"}, {"symbols": 3}, {"format": 1}])
        odd = odd or rng.choice(
            [{}, {"version": 2}, {"version": 0}, {"version": True}, {"version": 1.5}, {"unknown": 1}]
        )
        odd = odd or rng.choice(
            [{}, {"symbols": "a\ud800"}, {"symbols": ["a"]}, {"unknown": True}, {"version": 10**400}]
        )
        content = json.dumps(good | odd).encode()
        spoiled = [content[:-5], b"", b"[" * 100_000, b"NaN", b"[]", b'"x"', content.decode().encode("utf-16"), b"\xff"]
        content = content if rng.random() < 0.7 else rng.choice([*spoiled, codecs.BOM_UTF8 + content, content + b"x"])
        path = self.folder / f"{self._count}.json"
        self._count += 1
        path.write_bytes(content)
        return str(path)

    # --- options ---

    def text_options(self) -> list[str]:
        """Return options of how a text is read, any number of them, some with odd values."""
        rng = self.rng
        usual = {
            "--encoding": lambda: rng.choice(["utf-8", "latin-1", "utf-16", "cp437"] if self.mild else CODECS),
            "--errors": lambda: rng.choice(["strict", "replace", "replace"]),
            "--newlines": lambda: rng.choice(["keep", "lf", "lf"]),
            "--normalize": lambda: rng.choice(["nfc", "nfd", "nfkc", "nfkd"]),
            "--include": lambda: rng.choice(["*.txt", "*", "[", "", "\n*", "*.gz"]),
        }
        if self.mild:
            # Its sources are files, nearly all of them, of which it chooses none.
            del usual["--include"]
        words: list[str] = []
        for option, value in usual.items():
            if rng.random() < 0.25:
                words += [option, value() if self.mild or rng.random() < 0.9 else rng.choice(WORDS)]
        return words + [flag for flag in ("--lower", "--bytes") if rng.random() < 0.15]

    def train_options(self) -> list[str]:
        """Return options of `train`, mostly of the data, some of numbers that are odd."""
        rng = self.rng
        usual = {
            "--separator": lambda: rng.choice([r"\n", r"\x1e", "x", "xy", "", r"\x", "\\", r"\ud800", r"\N{x}", "☞"]),
            "--min-count": lambda: rng.choice(["1", "2", "3", "1000000"]),
            "--val": lambda: rng.choice(["0", "0.1", "0.5", "0.999999", "1e-9"]),
            "--test": lambda: rng.choice(["0", "0.1", "0.5", "0.9"]),
            "--split": lambda: rng.choice(["tail", "documents", "char-rnn"]),
            "--batch": lambda: rng.choice(["1", "2", "7", "16"]),
            "--seq": lambda: rng.choice(["1", "3", "64"]),
            "--vocab": self.vocabulary,
            "--val-file": self.source,
            "--name": lambda: rng.choice(
                ["new", "", ".", "..", "a/b", "x" * 300, "\n", os.fsdecode(b"\xff"), "☞", "-"]
            ),
            "--checkpoints": lambda: rng.choice(
                ["", "out", "out/deeper", os.devnull, self.source(), os.fsdecode(b"\xff")]
            ),
            "--init": lambda: rng.choice(["plain", "bytes", "trained", self.source()]),
            "--preset": lambda: rng.choice(["char-rnn", "x"]),
        }
        numbers = [
            "layers",
            "units",
            "embedding",
            "batch",
            "seq",
            "val",
            "test",
            "dropout",
            "lr",
            "epsilon",
            "rho",
            "momentum",
            "weight-decay",
            "warmup",
            "decay",
            "decay-after",
            "clip-norm",
            "clip-value",
            "epochs",
            "steps",
            "minutes",
            "patience",
            "eval-every",
            "save-every",
            "keep",
            "seed",
            "min-count",
        ]
        words = []
        for option, value in usual.items():
            if rng.random() < (0.05 if self.mild else 0.15):
                words += [option, value()]
        for _ in range(0 if self.mild else rng.choice([0, 0, 1, 1, 3])):
            words += ["--" + rng.choice(numbers), rng.choice(NUMBERS)]
        for _ in range(0 if self.mild else rng.choice([0] * 9 + [1])):
            words += [rng.choice(["--cell", "--optimizer", "--schedule", "--init", "--name"]), rng.choice(WORDS)]
        flags = ("--one-per-line", "--reset-at-documents", "--quiet", *(() if self.mild else ("--drop-unused",)))
        return words + [flag for flag in flags if rng.random() < 0.1]

    def close(self) -> None:
        for close in self.closing:
            close()


# --- what happens while a file is read ---

ACTS: dict[str, Callable[[Path], object]] = {
    "shrinks": lambda path: os.truncate(path, path.stat().st_size // 3),
    "is emptied": lambda path: os.truncate(path, 0),
    "grows": lambda path: path.open("ab").write(b"more\xff" * 3000),
    "vanishes": lambda path: path.unlink(),
    "becomes a folder": lambda path: (path.unlink(), path.mkdir()),
    "becomes another": lambda path: (path.unlink(), path.write_bytes(b"another text\n" * 99)),
    "becomes a link to nothing": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}


def changing(blocks: Callable, act: str, moment: int) -> tuple[Callable, list[str]]:
    """Return `Document.blocks` as it is when, once, a file changes after so many blocks; and a list of what changed."""
    happened: list[str] = []

    def read(document, *how, **more) -> Iterator:  # type: ignore[no-untyped-def]
        def now(number: int) -> None:
            if number == moment and not happened and document.stamp is not None:
                ACTS[act](document.path)
                happened.append(act)

        now(0)
        for number, block in enumerate(blocks(document, *how, **more), 1):
            yield block
            now(number)

    return read, happened


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make `folder` and work in it; afterwards it is gone."""
    before = os.getcwd()
    folder.mkdir()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)
