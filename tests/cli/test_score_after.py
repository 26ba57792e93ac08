"""`charrnn score --after` and `--context-field`: the bits of a text given what comes before it."""

import json

import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

VOCAB = Vocabulary.of("\n\t abcdefgh☞é")
MODELS = {
    "plain": (VOCAB, TextConfig()),
    "lower": (VOCAB, TextConfig(lower=True)),
    "lines": (VOCAB, TextConfig(one_per_line=True)),
    "after": (VOCAB, TextConfig(one_per_line=True, loss_after="\t")),
    "bytes": (Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True)),
}
LINES = ["bad cafe", "", "a\tb", "dead", "baZ"]
PIPED = "\n".join(LINES)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, (vocab, text) in MODELS.items():
        write_model(folder / f"{name}.safetensors", vocab, text)
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)


def run(model, *arguments, stdin=PIPED, command="score"):
    return CliRunner().invoke(app, [command, f"{model}.safetensors", *map(str, arguments)], input=stdin)


def objects(*pairs) -> str:
    return "".join(json.dumps({"n": n, "q": q, "a": a}) + "\n" for n, (q, a) in enumerate(pairs))


def bits(result) -> list[float]:
    assert result.exit_code == 0, result.output
    return [json.loads(line)["bits"] for line in result.stdout.splitlines()]


@pytest.mark.parametrize("model", ["plain", "lower", "lines"])
def test_the_command_prints_what_python_returns(model):
    loaded = charrnn.load(f"{model}.safetensors")
    expected = [score.bits for score in loaded.score(LINES, after="☞\tA" if model == "lower" else "☞\ta")]
    assert bits(run(model, "--after", "☞\\ta", "--jsonl")) == expected
    assert expected != [score.bits for score in loaded.score(LINES)]
    each = [score.bits for score in loaded.score(LINES, after=["☞\ta"] * 5)]
    assert each == pytest.approx(expected, rel=1e-5)
    assert bits(run(model, "--after", "☞\\ta", "--jsonl", "--unbuffered")) == pytest.approx(expected, rel=1e-5)
    # After nothing.
    assert [score.bits for score in loaded.score(LINES, after="")] == [score.bits for score in loaded.score(LINES)]


def test_what_follows_costs_what_sampling_says_of_it():
    """`sample --prime` and `score --after` read the same text."""
    for model in ("plain", "lines", "bytes"):
        sampled = run(model, "--prime", "bad c", "--seed", 1, "-n", 12, "--jsonl", "--forbid", r"\n", command="sample")
        record = json.loads(sampled.stdout)
        (score,) = charrnn.load(f"{model}.safetensors").score([record["text"].rstrip("\n")], after="bad c")
        assert score.bits == pytest.approx(record["bits"], rel=1e-5)


def test_contexts_come_from_a_field():
    pairs = [("a", "bad"), ("☞ c", "bad"), ("", "bad"), ("b" * 99, "cafe")]
    result = run("plain", "--field", "a", "--context-field", "q", "--jsonl", stdin=objects(*pairs))
    model = charrnn.load("plain.safetensors")
    expected = model.score([a for _, a in pairs], after=[q for q, _ in pairs])
    assert bits(result) == [score.bits for score in expected]
    for (q, a), score in zip(pairs, expected, strict=True):
        assert score.bits == pytest.approx(model.score([a], after=q)[0].bits, rel=1e-5)
    # The context comes out again, as other members do.
    assert [json.loads(line)["q"] for line in result.stdout.splitlines()] == [q for q, _ in pairs]


def test_records_without_a_context_are_told_of_and_passed_over():
    odd = '{"a": "bad"}\n{"q": 1, "a": "bad"}\n{"q": "bad"}\n{"q": "a\\nb", "a": "bad"}\nx\n'
    result = run("lines", "--field", "a", "--context-field", "q", "--jsonl", stdin=objects(("a", "bad")) + odd)
    first, *others = bits(result)
    assert first > 0 and others == [None] * 5
    assert result.stderr.splitlines() == [
        "Line 2 has no member 'q', only a: it is not scored.",
        "Line 3 has a member 'q', but it is not a text: it is not scored.",
        "Line 4 has no member 'a', only q: it is not scored.",
        "Line 5 has the end of a document in 'q', and there the model forgets the text before it: it is not scored.",
        "Line 6 is not a JSON object, but --field needs one: it is not scored.",
    ]
    result = run("lines", "--field", "a", "--context-field", "q", stdin=odd)
    assert isinstance(result.exception, CharRNNError) and "No line could be scored" in result.exception.message


def test_the_answer_after_its_question():
    """Of a model that learned only what follows a separator, all of the answer counts."""
    model = charrnn.load("after.safetensors")
    whole, answer = model.score(["bad\tcafe"])[0], model.score(["cafe"], after="bad\t")[0]
    assert (answer.characters, answer.bits) == (4, pytest.approx(whole.bits, rel=1e-5))
    assert model.score(["cafe"], after="bad")[0].characters == 0


def test_bytes_are_taken_as_bytes():
    model = charrnn.load("bytes.safetensors")
    expected = [score.bits for score in model.score(["é"], after="☞\xff".encode("latin-1", "ignore") + b"\xe2")]
    assert expected == [model.score(["é"], after=b"\xff\xe2")[0].bits]
    assert bits(run("bytes", "--after", r"\xff\xe2", "--jsonl", stdin="é\n")) == expected
    assert model.score(["é"], after="☞")[0].bits == model.score(["é"], after="☞".encode())[0].bits
    contexts = run("bytes", "--field", "a", "--context-field", "q", "--jsonl", stdin=objects(("☞", "é"), ("a", "é")))
    assert bits(contexts) == [score.bits for score in model.score(["é", "é"], after=["☞", "a"])]


def test_mistakes_are_explained():
    for arguments, said in (
        (("--after", "a", "--context-field", "q"), "--after and --context-field cannot be combined"),
        (("--context-field", "q"), "--context-field names a member of JSON objects"),
        (("--after", "a", "--whole"), "--whole scores the text as a whole"),
        (("--field", "a", "--context-field", "q", "--whole"), "--whole scores the text as a whole"),
        (("--after", r"a\nb"), "The end of a document, '\\n', is in --after"),
        (("--after", "Z", "--unknown", "error"), "--after has characters that the model does not know: 'Z'"),
    ):
        result = run("lines", *arguments)
        assert isinstance(result.exception, CharRNNError) and result.stdout == ""
        assert said in as_options(result.exception.message)
    model = charrnn.load("plain.safetensors")
    too_few = "`after` has the length 1, but `lines` has the length 2"
    for wrong, said in ((["a"], too_few), (5, "`after` is 5"), ([5, "a"], "`after` is")):
        with pytest.raises(CharRNNError, match=said):
            model.score(["a", "b"], after=wrong)
