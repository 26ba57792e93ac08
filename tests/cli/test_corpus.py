import hashlib
import io
import json
import socket
import sys
import threading
import tokenize
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from charrnn.api import corpora
from charrnn.cli.app import main
from charrnn.cli.arguments import amount
from charrnn.text.names import character_name
from charrnn.text.vocabulary import Vocabulary

BODY = "First Citizen:\nBefore we proceed any further, hear me speak. ☞\n".encode() * 5000


@pytest.fixture
def charrnn(monkeypatch, capsysbinary):
    """Run the command line in this process; return its exit code, stdout (bytes) and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["charrnn", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        out, err = capsysbinary.readouterr()
        return exited.value.code or 0, out, err.decode()

    return run


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = {"/wrong": BODY.swapcase(), "/long": BODY * 2}.get(self.path, BODY)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path not in ("/silently-short", "/long"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if "short" in self.path else body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def listed(server, tmp_path, monkeypatch):
    """Make `toy` the one corpus that is known, to be had from a path of the local server; work in an empty folder."""

    def listed(path, port=server.server_port):
        manifest = tmp_path / "toy.toml"
        manifest.write_text(
            f'[toy]\nurl = "http://127.0.0.1:{port}{path}"\nbytes = {len(BODY)}\n'
            f'sha256 = "{hashlib.sha256(BODY).hexdigest()}"\ndescription = "A toy"\n'
        )
        monkeypatch.setenv("CHARRNN_CORPORA", str(manifest))
        folder = tmp_path / "work"
        folder.mkdir()
        monkeypatch.chdir(folder)
        return folder

    return listed


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- charrnn corpus: the list ---


def test_the_list(charrnn):
    code, out, err = charrnn("corpus")
    lines = out.decode().splitlines()
    assert code == 0
    assert err == ""
    assert lines[0].split() == ["NAME", "BYTES", "DESCRIPTION"]
    assert {line.split()[0]: line.split()[1] for line in lines[1:]} == {
        "python": "2,000,000",
        "tinyshakespeare": "1,115,394",
    }


def test_the_manifest_is_complete():
    known = corpora.known_corpora()
    for name, entry in known.items():
        assert name.isidentifier()
        assert entry["bytes"] > 0
        assert entry["description"]
        assert set(entry) - {"bytes", "description"} in ({"url", "sha256"}, {"kind"})
        assert entry.get("kind", "python") == "python"
        assert len(entry.get("sha256", "0" * 64)) == 64
    assert known["tinyshakespeare"]["bytes"] == 1_115_394
    assert known["tinyshakespeare"]["sha256"] == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


@pytest.mark.parametrize(("content", "says"), [(None, "does not exist"), ("[toy", "is not valid TOML")])
def test_a_bad_manifest(charrnn, tmp_path, content, says):
    manifest = tmp_path / "toy.toml"
    if content is not None:
        manifest.write_text(content)
    code, out, err = charrnn("corpus", "--manifest", manifest)
    assert (code, out) == (1, b"")
    assert says in err
    assert "Unset CHARRNN_CORPORA" in err


def test_an_unknown_name(charrnn):
    code, out, err = charrnn("corpus", "tinyshakespear")
    assert (code, out) == (1, b"")
    assert "the corpora are python, tinyshakespeare" in err
    assert "Did you mean charrnn corpus tinyshakespeare?" in err
    assert "Did you mean" not in charrnn("corpus", "zzz")[2]


# --- charrnn corpus: downloads ---


def test_a_download(charrnn, listed, server):
    folder = listed("/toy")
    code, out, err = charrnn("corpus", "toy")
    assert (code, out) == (0, b"")
    assert files(folder) == ["corpora/toy.txt"]
    assert (folder / "corpora/toy.txt").read_bytes() == BODY
    characters = len(BODY.decode())
    assert err.splitlines() == [
        f"Downloading toy, {len(BODY):,} bytes.",
        f"Wrote corpora/toy.txt: {len(BODY):,} bytes, {characters:,} characters.",
        "Next: charrnn train corpora/toy.txt",
    ]
    assert characters < len(BODY)
    assert server.asked == ["/toy"]


def test_a_download_shows_its_progress_on_a_terminal(charrnn, listed, monkeypatch):
    folder = listed("/toy")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    code, out, err = charrnn("corpus", "toy", "-o", "a b.txt")
    assert (code, out) == (0, b"")
    assert files(folder) == ["a b.txt"]
    assert "Downloading toy" in err
    assert "325.0/325.0 kB" in err
    assert "Next: charrnn train 'a b.txt'" in err


def test_a_verified_file_is_not_downloaded_again(charrnn, listed, server):
    listed("/toy")
    assert charrnn("corpus", "toy")[0] == 0
    code, _, err = charrnn("corpus", "toy")
    assert code == 0
    assert "exists already" in err
    assert server.asked == ["/toy"]


def test_another_file_is_replaced_only_by_force(charrnn, listed, server):
    folder = listed("/toy")
    (folder / "mine.txt").write_text("mine")
    code, _, err = charrnn("corpus", "toy", "-o", "mine.txt")
    assert code == 1
    assert "mine.txt exists already" in err
    assert "--force" in err
    assert (folder / "mine.txt").read_text() == "mine"
    assert server.asked == []
    assert charrnn("corpus", "toy", "-o", "mine.txt", "--force")[0] == 0
    assert (folder / "mine.txt").read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "says"),
    [
        # Older Pythons end the body quietly, newer ones raise.
        ("/short", "The download of toy "),
        ("/silently-short", f"has {len(BODY) // 2:,} bytes; {len(BODY):,} were expected"),
        ("/long", f"has too many bytes; {len(BODY):,} were expected"),
        ("/wrong", f"has the SHA-256 {hashlib.sha256(BODY.swapcase()).hexdigest()}"),
        ("/missing", "answers 404 Not Found"),
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_a_bad_download_leaves_nothing(charrnn, listed, server, monkeypatch, path, says, terminal):
    folder = listed(path)
    (folder / "toy.txt").write_text("older")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    code, out, err = charrnn("corpus", "toy", "-o", "toy.txt", "--force")
    assert (code, out) == (1, b"")
    assert says in err
    assert "Traceback" not in err
    assert files(folder) == ["toy.txt"]
    assert (folder / "toy.txt").read_text() == "older"
    assert server.asked == [path]


def test_no_network(charrnn, listed):
    with socket.socket() as unused:
        # Bound but not listening: whoever connects is refused.
        unused.bind(("127.0.0.1", 0))
        folder = listed("/toy", unused.getsockname()[1])
        code, _, err = charrnn("corpus", "toy")
    assert code == 1
    assert "cannot be reached" in err
    assert "charrnn corpus python" in err
    assert files(folder) == []


def test_an_interrupted_download_leaves_nothing(charrnn, listed, monkeypatch):
    folder = listed("/toy")
    seen = []

    def interrupted(name, url):
        yield BODY[:1000]
        seen.extend(files(folder))
        raise KeyboardInterrupt

    monkeypatch.setattr(corpora, "_download", interrupted)
    code, _, err = charrnn("corpus", "toy")
    assert code == 130
    assert "Traceback" not in err
    assert len(seen) == 1
    assert files(folder) == []


def test_a_download_has_no_size_to_choose(charrnn, listed, server):
    listed("/toy")
    code, _, err = charrnn("corpus", "toy", "--size", "1K")
    assert code == 1
    assert "its size cannot be chosen" in err
    assert server.asked == []


# --- charrnn corpus python ---


def test_the_python_corpus_is_stable_and_tokenizes(charrnn, tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "deep" / "two.txt"
    code, out, err = charrnn("corpus", "python", "--size", "300K", "-o", one)
    assert (code, out) == (0, b"")
    assert f"Next: charrnn train {one}" in err
    assert charrnn("corpus", "python", "--size", "300000", "-o", two)[0] == 0
    content = one.read_bytes()
    assert two.read_bytes() == content
    assert 295_000 < len(content) <= 300_000
    assert content.decode().endswith("\n")
    assert sum(token.type == tokenize.NAME for token in tokenize.tokenize(io.BytesIO(content).readline)) > 10_000
    assert files(tmp_path) == ["deep/two.txt", "one.txt"]


@pytest.fixture
def stdlib(tmp_path, monkeypatch):
    folder = tmp_path / "stdlib"

    def stdlib(sources):
        for name, content in sources.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(folder)})

    return stdlib


def test_what_the_python_corpus_is_made_of(charrnn, stdlib, tmp_path):
    kept = {
        "abc.py": b"a = 1\n",
        "json/decoder.py": b"b = 2",
        "io.py": b"\xef\xbb\xbfc = 3\n",
        "heapq.py": b"d = 'x" * 2,
    }
    left_out = ["site-packages/x.py", "test/x.py", "json/tests/x.py", "idlelib/x.py", "lib2to3/tests/data/x.py"]
    left_out += ["encodings/x.py", "_sysconfigdata_x.py", "README.txt"]
    stdlib({**kept, **dict.fromkeys(left_out, b"left = out\n"), "latin.py": b"# \xe9\n", "empty.py": b""})
    assert charrnn("corpus", "python", "-o", tmp_path / "p.txt")[0] == 0
    content = (tmp_path / "p.txt").read_bytes()
    # The order, by SHA-256 of the path, is pinned: the corpus is the same wherever its sources are.
    assert content == b"b = 2\nd = 'xd = 'x\nc = 3\na = 1\n"


def test_the_python_corpus_skips_what_does_not_fit(charrnn, stdlib, tmp_path):
    stdlib({"a.py": b"a" * 99 + b"\n", "b.py": b"b\n", "c.py": b"c\n"})
    assert charrnn("corpus", "python", "-o", tmp_path / "p.txt", "--size", "4")[0] == 0
    assert sorted((tmp_path / "p.txt").read_bytes().split()) == [b"b", b"c"]


def test_a_size_that_fits_nothing(charrnn, stdlib, tmp_path):
    stdlib({"a.py": b"a" * 99})
    code, _, err = charrnn("corpus", "python", "-o", tmp_path / "p.txt", "--size", "99")
    assert code == 1
    assert "fits into 99 bytes" in err
    assert files(tmp_path) == ["stdlib/a.py"]


@pytest.mark.parametrize("size", ["", "0", "-5", "3x", "K", "nan", "inf", "infM"])
def test_a_size_that_is_none(charrnn, tmp_path, size):
    code, _, err = charrnn("corpus", "python", "-o", tmp_path / "p.txt", "--size", size)
    assert code == 1
    assert "500K" in err
    assert files(tmp_path) == []


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("20000", 20_000), ("500K", 500_000), ("1.5m", 1_500_000)])
def test_sizes(text, size):
    assert amount(text, "--size", "a size") == size


def test_the_python_corpus_replaces_nothing_unasked(charrnn, tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("mine")
    code, _, err = charrnn("corpus", "python", "-o", path)
    assert code == 1
    assert "--force" in err
    assert path.read_text() == "mine"
    assert charrnn("corpus", "python", "-o", path, "--size", "20K", "--force")[0] == 0
    assert path.stat().st_size > 1000


def test_a_file_appears_only_when_it_is_whole(charrnn, tmp_path, monkeypatch):
    path = tmp_path / "p.txt"
    path.write_text("older")
    failures = []

    def full(part, target):
        failures.append(target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    code, _, err = charrnn("corpus", "python", "-o", path, "--size", "20K", "--force")
    assert code == 1
    assert "No space left" in err
    assert failures == [path]
    assert files(tmp_path) == ["p.txt"]
    assert path.read_text() == "older"


def test_a_folder_as_output(charrnn, tmp_path):
    code, _, err = charrnn("corpus", "python", "-o", tmp_path)
    assert code == 1
    assert "is a folder" in err


# --- charrnn vocab ---


def test_the_table(charrnn, tmp_path):
    (tmp_path / "a.txt").write_bytes("aab\u200b\na é".encode())
    code, out, err = charrnn("vocab", tmp_path / "a.txt")
    assert (code, err) == (0, "")
    assert out.decode() == (
        "CHARACTER  CODE POINT  NAME                             COUNT     SHARE\n"
        "'a'        U+0061      LATIN SMALL LETTER A                 3  37.500 %\n"
        "'\\n'       U+000A      LINE FEED                            1  12.500 %\n"
        "' '        U+0020      SPACE                                1  12.500 %\n"
        "'b'        U+0062      LATIN SMALL LETTER B                 1  12.500 %\n"
        "'é'        U+00E9      LATIN SMALL LETTER E WITH ACUTE      1  12.500 %\n"
        "'\\u200b'   U+200B      ZERO WIDTH SPACE                     1  12.500 %\n"
        "\n"
        "8 characters, 6 distinct, 11 bytes\n"
    )


def test_json(charrnn, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_bytes(b"ab\r\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("aéaa".encode())))
    code, out, err = charrnn("vocab", "--json", tmp_path, "-")
    assert code == 0 and "carriage returns (1," in err
    report = json.loads(out)
    assert {key: report[key] for key in ("characters", "distinct", "bytes")} == {
        "characters": 8,
        "distinct": 5,
        "bytes": 9,
    }
    assert report["symbols"][0] == {
        "character": "a",
        "code_point": "U+0061",
        "name": "LATIN SMALL LETTER A",
        "count": 4,
        "share": 0.5,
    }
    assert [symbol["character"] for symbol in report["symbols"]] == ["a", "\n", "\r", "b", "é"]
    assert sum(symbol["share"] for symbol in report["symbols"]) == pytest.approx(1)


def test_a_vocabulary_file(charrnn, tmp_path):
    (tmp_path / "a.txt").write_text("banana")
    code, out, err = charrnn("vocab", tmp_path / "a.txt", "-o", tmp_path / "vocab.json")
    assert code == 0
    assert b"6 characters, 3 distinct" in out
    assert f"Wrote {tmp_path / 'vocab.json'}: 3 characters." in err
    assert Vocabulary.load(tmp_path / "vocab.json").symbols == ("a", "b", "n")


def test_vocab_of_nothing(charrnn, tmp_path):
    code, out, err = charrnn("vocab", tmp_path / "missing.txt", "-o", tmp_path / "vocab.json")
    assert (code, out) == (1, b"")
    assert "missing.txt does not exist" in err
    assert files(tmp_path) == []
    assert charrnn("vocab")[0] == 1


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\0", "NULL"),
        ("\a", "ALERT"),
        ("\t", "CHARACTER TABULATION"),
        ("\n", "LINE FEED"),
        ("\r", "CARRIAGE RETURN"),
        ("\x1b", "ESCAPE"),
        ("\x1f", "INFORMATION SEPARATOR ONE"),
        ("\x7f", "DELETE"),
        ("\x85", "NEXT LINE"),
        ("\x90", "CONTROL CHARACTER"),
        ("\ue000", "PRIVATE USE"),
        ("\U000e1234", "UNASSIGNED"),
        ("字", "CJK UNIFIED IDEOGRAPH-5B57"),
    ],
)
def test_names(character, name):
    assert character_name(character) == name


def test_all_names_of_controls_are_unicodes_own():
    import unicodedata

    for code in range(32):
        # unicodedata knows the aliases only from name to character.
        assert unicodedata.lookup(character_name(chr(code))) == chr(code)
