"""The commands as a shell runs them: in processes of their own."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import sys

import pytest

from charrnn.api.presets import PRESETS
from charrnn.cli.app import COMMANDS
from charrnn.config import TextConfig
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.lock import Lock
from charrnn.text.vocabulary import Vocabulary
from support.commands import COMMAND, HEAVY, SEVERAL, charrnn_in, found, loaded_by, refused, several, started
from support.models import write_model

CHATTER = ("I0000", "E0000", "oneDNN", "cudart", "cuda", "WARNING", "Traceback", "absl")
TEXT = "".join(f"{n} green bottles hanging on the wall,\n" for n in range(3000, 1700, -1))
SMALL = ("--units", "16", "--batch", "8", "--seq", "16")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with toy.txt and the run `toy` of six real steps; `result` is the process that trained it.

    Unlike others it is trained with the backend that users get unasked, which goes on with it when it is resumed.
    """
    folder = tmp_path_factory.mktemp("trained")
    (folder / "toy.txt").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "tensorflow")
        result = charrnn_in(folder, "train", "toy.txt", *SMALL, "--steps", 6, "--eval-every", 3)
    assert result.returncode == 0, result.stderr
    return folder, result


# What is imported


@pytest.mark.parametrize("arguments", [(), *((command,) for command in COMMANDS)])
def test_help_imports_nothing_heavy(arguments, tmp_path):
    result, loaded = loaded_by(tmp_path, *arguments, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(b"Usage: charrnn")
    asked = set(arguments or COMMANDS)
    commands = {name for name in COMMANDS if f"charrnn.cli.commands.{name}" in loaded}
    # What several commands share lives in these two.
    assert "typer" in loaded and asked <= commands <= asked | {"sample", "eval"}
    assert {name for name in loaded if name.split(".")[0] in {"numpy", "rich", *HEAVY}} == set()
    # What only a command at work needs.
    assert {name for name in loaded if name.startswith(("charrnn.training", "charrnn.inference"))} == set()


@pytest.mark.parametrize(
    "arguments", [("sample", "small", "-n", "10"), ("eval", "small", "text.txt"), ("verify", "small")]
)
def test_using_a_model_imports_no_framework(small, arguments):
    result, loaded = loaded_by(small, *arguments)
    assert result.stdout and "charrnn.runs.checkpoint" in loaded
    assert {name for name in loaded if name.split(".")[0] in HEAVY} == set()


@pytest.mark.parametrize(
    ("wrong", "said"), [("evall", "Did you mean charrnn eval or"), ("zzz", "charrnn --help lists the commands.")]
)
def test_an_unknown_command_is_refused_and_imports_none(wrong, said, tmp_path):
    result, loaded = loaded_by(tmp_path, wrong)
    assert result.returncode == 1 and result.stderr.startswith(f"charrnn: There is no command '{wrong}'.\n  {said}")
    assert {name for name in COMMANDS if f"charrnn.cli.commands.{name}" in loaded} == set()


# Data and pipes


def test_a_reader_that_leaves_ends_sampling_quietly(small):
    process = started(small, "sample", "small", "--length", 10**9, text=False)
    assert len(process.stdout.read(100)) == 100
    process.stdout.close()
    try:
        # Sampling all of it would take hours.
        assert process.wait(timeout=600) == 0
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_closed_stderr_puts_no_talk_into_the_data(small):
    result = charrnn_in(small, "-c", 'exec "$0" "$@" 2>&-', COMMAND, "sample", "unknown", command="sh")
    assert (result.returncode, result.stdout) == (1, b"")


def test_a_closed_stdin_gives_no_traceback(small):
    result = charrnn_in(small, "-c", 'exec "$0" "$@" <&-', COMMAND, "vocab", "-", command="sh")
    refused(result)


def test_a_seed_gives_the_same_text_and_another_seed_another(small):
    def sampled(*options):
        result = charrnn_in(small, "sample", "small", "-n", "300", *options)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    assert sampled("--seed", "3") == sampled("--seed", "3")
    assert len({sampled("--seed", "3"), sampled("--seed", "4"), sampled(), sampled()}) == 4


@pytest.mark.parametrize("length", [0, 1, 17, 4097])
def test_length_counts_characters_exactly(small, length):
    result = charrnn_in(small, "sample", "small", "--length", length, "--prime", "a☞", "--seed", 1)
    text = result.stdout.decode()
    assert text.startswith("a☞") and len(text) == 2 + length


def test_sampling_without_a_name_takes_the_newest_run(small):
    named = charrnn_in(small, "sample", "small", "-n", 50, "--seed", 1)
    assert named.stdout
    assert charrnn_in(small, "sample", "-n", 50, "--seed", 1).stdout == named.stdout
    assert (
        charrnn_in(small, "sample", "checkpoints/small/best.safetensors", "-n", 50, "--seed", 1).stdout == named.stdout
    )


def test_unknown_characters_follow_a_visible_policy(small, tmp_path):
    (small / "strange.txt").write_text("badZ cafe Z☞\n", encoding="utf-8")
    (small / "plain.txt").write_text("bad cafe ☞\n", encoding="utf-8")
    skipped = charrnn_in(small, "eval", "small", "strange.txt", "--unknown", "skip")
    assert skipped.returncode == 0 and "2 characters of strange.txt are unknown and were left out" in skipped.stderr
    plain = charrnn_in(small, "eval", "small", "plain.txt")
    assert skipped.stdout.splitlines()[:-1] == plain.stdout.splitlines()[:-1] and plain.stderr == ""
    refused(charrnn_in(small, "eval", "small", "strange.txt"))
    sampled = charrnn_in(small, "sample", "small", "--prime", "aZb", "--unknown", "replace", "-n", "2")
    assert sampled.stdout.startswith(b"a b") and "replaced by ' '" in sampled.stderr


def test_what_a_model_has_never_seen(small):
    (small / "strange.txt").write_text("badZ cafe Z☞\nZ Y\nZ", encoding="utf-8")
    result = charrnn_in(small, "vocab", "strange.txt", "--against", "small")
    lines = result.stdout.decode().splitlines()
    assert result.returncode == 0 and len(lines) == 7, lines
    assert lines[1].split("  ")[0] == "'Z'" and lines[1].endswith("strange.txt:1:4 strange.txt:1:11 strange.txt:2:1")
    assert lines[2].endswith("strange.txt:2:3")
    assert lines[-2:] == ["2 of the distinct are unknown, 5 characters in all", "3 known ones do not occur: ghé"]
    report = json.loads(charrnn_in(small, "vocab", "strange.txt", "--against", "small", "--json").stdout)
    assert [symbol["count"] for symbol in report["symbols"]] == [4, 1] and report["unused"] == list("ghé")
    charrnn_in(small, "vocab", "text.txt", "-o", "known.json")
    against = charrnn_in(small, "vocab", "strange.txt", "--against", "known.json", "--json")
    assert json.loads(against.stdout)["unused"] == []
    # Two vocabularies: a file's and a model's, and the other way round.
    between = json.loads(charrnn_in(small, "vocab", "known.json", "--against", "small", "--json").stdout)
    assert (between["distinct"], between["symbols"], between["unused"]) == (9, [], list("ghé"))
    back = charrnn_in(small, "vocab", "small", "--against", "known.json").stdout.decode().splitlines()
    assert [line.split("  ")[0] for line in back[1:4]] == ["'g'", "'h'", "'é'"] and back[5] == "12 distinct"


def test_a_text_is_read_as_the_model_reads_it_that_it_is_held_against(tmp_path):
    """The defaults of the command's own options do not count, and what is typed does."""
    write_model(tmp_path / "lower.safetensors", Vocabulary.of("abé\n"), TextConfig(lower=True))
    (tmp_path / "text.txt").write_bytes("ABÉ\r\n".encode("latin-1"))
    told = ("vocab", "text.txt", "--json", "--encoding", "latin-1", "--against", "lower.safetensors")
    report = json.loads(charrnn_in(tmp_path, *told).stdout)
    assert (report["symbols"], report["unused"], report["characters"]) == ([], [], 4)
    kept = json.loads(charrnn_in(tmp_path, *told, "--newlines", "keep").stdout)
    assert [symbol["character"] for symbol in kept["symbols"]] == ["\r"]


def test_eval_prints_what_scripts_rely_on(small):
    facts = json.loads(charrnn_in(small, "eval", "small", "text.txt", "--json").stdout)
    names = ["characters", "bits_per_char", "nats_per_char", "perplexity", "bits_per_byte", "unit", "repeated", "run"]
    assert list(facts) == names
    assert facts["characters"] == 220
    assert charrnn_in(small, "eval", "small", "-", "--json", stdin=(small / "text.txt").read_bytes()).stdout


# Bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("sample", "small", "--prime", "abcZQ"),
            "the model does not know: 'Z' (U+005A) x 1, 'Q'",
        ),
        (("sample", "small", "--prime", "ZQ", "--unknown", "skip"), "knows none of its characters"),
        (("sample", "small", "--unknown", "forget"), "--unknown is 'forget'"),
        (("train", "text.txt", "--encoding", "klingon"), "--encoding is 'klingon'"),
        (("train", "text.txt", "--normalize", "abc"), "--normalize is 'abc'"),
        (("train", "*.html"), "Nothing matches"),
        (("sample", "unknown"), "no run 'unknown'"),
        (("sample", "damaged.safetensors"), "damaged.safetensors is damaged"),
        (("eval", "small", "missing.txt"), "missing.txt does not exist"),
        (("eval", "small", "empty.txt"), "empty.txt is empty"),
        (("eval", "small", "binary"), "binary has no text"),
        (("eval", "small", "undecodable.txt"), "undecodable.txt is not UTF-8"),
        (("eval", "small"), "No text was named"),
        (("eval", "damaged.safetensors", "text.txt"), "damaged"),
        (("train",), "No training text was named"),
        (("train", "missing.txt"), "missing.txt does not exist"),
        (("train", "empty.txt"), "empty.txt is empty"),
        (("train", "binary"), "binary has no text"),
        (("train", "undecodable.txt"), "undecodable.txt is not UTF-8"),
        (("train", "text.txt", "--vocab", "missing.json"), "missing.json does not exist"),
        (("train", "text.txt", "--vocab", "text.txt"), "text.txt is not a vocabulary"),
        (("train", "text.txt", "--units", "0"), "--units is 0"),
        (("train", "text.txt", "--lr", "nan"), "--lr is nan"),
        (("train", "text.txt", "--cell", "hopfield"), "one of rnn, irnn, clockwork, lstm"),
        (("train", "text.txt", "--preset", "nobody"), "no preset 'nobody'"),
        (("train", "--resume", "unknown"), "no run 'unknown'"),
        (("train", "--resume", "small"), "no training to resume"),
        (("vocab", "missing.txt"), "missing.txt does not exist"),
        (("corpus", "pyhton"), "charrnn corpus python"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_gets_one_clear_message(small, arguments, said):
    before = sorted(small.rglob("*"))
    assert said in refused(charrnn_in(small, *arguments))
    assert sorted(small.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate",),
        ("verify",),
        ("sample", "--tmep", "1"),
        ("sample", "small", "--temp", "-1"),
        ("sample", "small", "--seed", "-1"),
        ("train", "text.txt", "--units", "many"),
        ("bench", "--seconds", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_explained(small, arguments):
    refused(charrnn_in(small, *arguments))


def test_a_vocabulary_that_does_not_fit(small, tmp_path):
    (tmp_path / "abc.txt").write_text("abc")
    assert charrnn_in(tmp_path, "vocab", "abc.txt", "-o", "abc.json").returncode == 0
    said = refused(charrnn_in(tmp_path, "train", small / "text.txt", "--vocab", "abc.json"))
    assert "characters that the model does not know" in said and "'d' (U+0064)" in said
    assert not (tmp_path / "checkpoints").exists()


# Training


@pytest.mark.trains
def test_training_talks_plainly_on_stderr_alone(trained):
    _, result = trained
    assert result.stdout == b""
    assert [word for word in CHATTER if word in result.stderr] == []
    assert "\x1b" not in result.stderr and "\r" not in result.stderr
    lines = result.stderr.splitlines()
    assert lines[-1] == "Sample from it: charrnn sample toy --temp 0.8"
    for said in (
        r"^Training lstm 2x16 on toy.txt for 6 steps\.$",
        r"^Text: 52,000 characters, 26 different; 46,800 to train on, 5,200 ",
        r"^Network: [\d,]+ parameters, one-hot input",
        r"^Run toy: batch 8, seq 16",
    ):
        assert re.search(said, result.stderr, re.M)
    assert re.search(r"step 6: train [\d.]+, val [\d.]+ bits", result.stderr)
    assert re.search(r"bzip2 [\d.]+, xz [\d.]+", result.stderr)


@pytest.mark.trains
def test_what_a_run_leaves_behind(trained):
    run = trained[0] / "checkpoints/toy"
    files = {"best.safetensors", "metrics.jsonl", "step-00000003.safetensors", "step-00000006.safetensors"}
    assert {path.name for path in run.iterdir()} == files
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(record["step"], record.get("part")) for record in records] == [(3, None), (6, None), (6, "validation")]
    for record in records[:2]:
        assert list(record) == ["step", "epoch", "train_nats", "val_nats", "learning_rate", "seconds", "sample"]
        # The live view shows what the log keeps.
        shown = "".join(f"  | {line}\n" for line in record["sample"].splitlines())
        assert shown and shown in trained[1].stderr
    listed = json.loads(charrnn_in(trained[0], "runs", "--json").stdout)
    assert [(run["name"], run["steps"], run["units"]) for run in listed if run["name"] == "toy"] == [("toy", 6, 16)]
    (toy,) = (run for run in listed if run["name"] == "toy")
    assert toy["validation"]["nats_per_char"] == records[2]["nats_per_char"]


@pytest.mark.trains
def test_eval_agrees_with_what_training_reported(trained):
    folder, result = trained
    bits, nats, characters = found(
        r"Validation: ([\d.]+) bits per character \(([\d.]+) nats\), computed over all ([\d,]+) held-out characters",
        result.stderr,
    )
    (folder / "tail.txt").write_text(TEXT[-int(characters.replace(",", "")) :])
    facts = json.loads(charrnn_in(folder, "eval", "toy", "tail.txt", "--json").stdout)
    assert f"{facts['nats_per_char']:.4f}" == nats
    assert f"{facts['bits_per_char']:.4f}" == bits
    estimate = json.loads((folder / "checkpoints/toy/metrics.jsonl").read_text().splitlines()[-2])["val_nats"]
    assert abs(estimate - facts["nats_per_char"]) < 0.005


@pytest.mark.trains
def test_a_preset_reaches_the_checkpoint_and_an_existing_run_is_left_alone(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoints/toy").iterdir()}
    options = ("--preset", "char-rnn", "--units", 8, "--batch", 4, "--seq", 8, "--steps", 2)
    result = charrnn_in(tmp_path, "train", "toy.txt", *options)
    assert result.returncode == 0, result.stderr
    # "toy" is taken and stays as it was; other settings than the preset's can be asked for.
    checkpoint = read_checkpoint(tmp_path / "checkpoints/toy-2/step-00000002.safetensors")
    assert {path.name: path.read_bytes() for path in (tmp_path / "checkpoints/toy").iterdir()} == before
    settings = {**vars(checkpoint.model), **vars(checkpoint.training)}
    expected = {**PRESETS["char-rnn"], "units": 8, "batch": 4, "seq": 8, "steps": 2, "epochs": None}
    assert {key: settings[key] for key in expected} == expected


@pytest.mark.trains
def test_a_name_that_is_taken_is_refused(trained):
    result = charrnn_in(trained[0], "train", "toy.txt", *SMALL, "--steps", 2, "--name", "toy", "--quiet")
    assert "--resume" in refused(result)


@pytest.mark.trains
def test_a_finished_run_says_so(trained):
    log = trained[0] / "checkpoints/toy/metrics.jsonl"
    before = log.read_bytes()
    assert "reached the end of its budget" in refused(charrnn_in(trained[0], "train", "--resume", "toy"))
    assert log.read_bytes() == before and b"validation" in before
    assert "--units" in refused(charrnn_in(trained[0], "train", "--resume", "toy", "--units", "8"))


@pytest.mark.trains
def test_ctrl_c_saves_and_says_how_to_go_on(trained, tmp_path):
    """A finished run is resumed with a budget that it cannot reach, and interrupted."""
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    process = started(tmp_path, "train", "--resume", "toy", "--steps", 10**7, "--eval-every", 20)
    said = []
    for line in process.stderr:
        said.append(line.rstrip("\n"))
        if "step 40:" in line:
            process.send_signal(signal.SIGINT)
            break
    rest, _ = process.communicate()[::-1]
    said += rest.splitlines()
    assert process.returncode == 130, said
    assert "Resuming toy after step 6." in said
    step = int(found(r"^Stopped after step ([\d,]+), saved\.", said[-1])[0].replace(",", ""))
    assert said[-1].endswith("charrnn train --resume toy")
    assert step >= 40
    checkpoint = read_checkpoint(tmp_path / f"checkpoints/toy/step-{step:08d}.safetensors", training=True)
    assert checkpoint.step == step
    assert [word for word in CHATTER if word in "\n".join(said)] == []


@pytest.mark.trains
def test_ctrl_c_before_the_first_step_leaves_nothing(trained, tmp_path):
    (tmp_path / "toy.txt").write_text(TEXT)
    process = started(tmp_path, "train", "toy.txt", *SMALL, "--steps", 10**7)
    assert process.stderr.readline() == "Training lstm 2x16 on toy.txt for 10,000,000 steps.\n"
    assert process.stderr.readline() == "Loading TensorFlow …\n"
    process.send_signal(signal.SIGINT)
    out, said = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert said.splitlines()[-1:] == ["Interrupted before the first step: nothing was written."]
    assert [word for word in CHATTER if word in said] == []
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.trains
def test_short_texts_train_or_are_refused_and_a_finished_run_can_go_on(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    texts = {
        "one": "a",
        "two": "ab",
        "same": "a" * 500,
        "forty": "forty characters, no more and no less ☞\n",
    }
    assert len(texts["forty"]) == 40
    calls = []
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
        size = [] if name == "forty" else ["--batch", "8", "--seq", "16"]
        calls.append([name, None, "train", f"{name}.txt", "--layers", "1", "--units", "4", "--steps", "3", *size])
    calls.append(["resume", None, "train", "--resume", "toy", "--steps", "6"])
    result = charrnn_in(tmp_path, "-c", SEVERAL, json.dumps(calls), command=shlex.quote(sys.executable))
    assert result.stdout == b""
    assert [word for word in CHATTER if word in result.stderr] == []
    said = dict(part.split("\n", 1) for part in result.stderr.split("== ")[1:])
    assert list(said) == [name for name, *_ in calls]
    assert re.match(r"charrnn: .*\n  .*\nexit 1\n", said["one"])
    for name in ("two", "same", "forty", "resume"):
        trained_it = said[name].endswith("exit 0\n") and "Sample from it:" in said[name]
        assert trained_it or (name == "two" and re.search(r"charrnn: .*\n(  .*\n)?exit 1\n", said[name])), said
    assert re.search(
        r"The text is short \(40 characters\): training with --batch \d+ --seq \d+ instead of", said["forty"]
    )
    assert read_checkpoint(tmp_path / "checkpoints/toy/step-00000012.safetensors").step == 12
    records = [json.loads(line) for line in (tmp_path / "checkpoints/toy/metrics.jsonl").read_text().splitlines()]
    # The exact figures of step 6 have made way for those of what was trained on.
    assert [record["part"] for record in records if "part" in record] == ["validation"] and "part" in records[-1]
    steps = [record["step"] for record in records[:-1]]
    assert steps == sorted(set(steps)) and steps[:2] == [3, 6] and steps[-1] == 12


@pytest.mark.trains
def test_a_resumed_run_finds_its_text_or_says_why_not(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    text = tmp_path / "toy.txt"
    checkpoint = read_checkpoint(next((tmp_path / "checkpoints/toy").glob("step-00000006*")), training=True)
    before = checkpoint.progress.corpus.sha256
    # The run names the text by its absolute path, which this copy is not: another place for the same text is fine.
    text.write_text(TEXT[:-6] + TEXT[-12:-6])
    after = hashlib.sha256(text.read_bytes()).hexdigest()
    (tmp_path / "empty").mkdir()
    lock = Lock(tmp_path / "checkpoints/toy")
    lock.acquire()
    (refusal, code) = several(tmp_path, *[("held", None, "train", "--resume", "toy", "--steps", 12)])["held"]
    assert code == 1 and f"is being trained: process {os.getpid()} on" in refusal
    lock.release()
    said = several(
        tmp_path,
        *[
            ("changed", None, "train", "toy.txt", "--resume", "toy", "--steps", 3),
            (
                "changed-ok",
                None,
                "train",
                "toy.txt",
                "--resume",
                "toy",
                "--steps",
                3,
                "--allow-changed-text",
                "--quiet",
            ),
            # From now on the new text is the run's.
            ("again", None, "train", "--resume", "toy", "--steps", 3, "--quiet"),
            ("piped", None, "train", "-", "--name", "piped", "--steps", 3, *SMALL, "--quiet"),
            ("piped-again", None, "train", "--resume", "piped", "--steps", 3, "--quiet"),
        ],
        stdin=TEXT.encode(),
    )
    assert said["changed"][1] == 1 and before in said["changed"][0] and after in said["changed"][0]
    assert "--allow-changed-text" in said["changed"][0]
    assert said["changed-ok"][1] == 0 and "training continues with the new one" in said["changed-ok"][0]
    assert said["again"][1] == 0 and "changed" not in said["again"][0]
    assert (tmp_path / "checkpoints/piped/stdin.txt").read_bytes() == TEXT.encode()
    assert said["piped"][1] == said["piped-again"][1] == 0
    assert (tmp_path / "checkpoints/piped/step-00000006.safetensors").is_file()
    assert not list((tmp_path / "checkpoints").rglob(".charrnn-lock"))
    # A text that is piped in when a run is resumed is kept as well.
    said = several(
        tmp_path,
        *[
            ("in", None, "train", "-", "--resume", "toy", "--steps", 3, "--quiet"),
            ("on", None, "train", "--resume", "toy", "--steps", 3, "--quiet"),
            ("empty", None, "train", "--resume", "empty"),
        ],
        stdin=text.read_bytes(),
    )
    assert said["in"][1] == said["on"][1] == 0, said
    assert said["empty"][1] == 1 and "no checkpoint yet" in said["empty"][0]
    assert (tmp_path / "empty").is_dir(), "a folder of the user's was removed"
