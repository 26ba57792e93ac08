"""A trained model in use: what a notebook calls."""

import json
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

import charrnn
from charrnn.config import RECORD_END, TextConfig, TrainConfig, with_records
from charrnn.data.corpus import as_ids
from charrnn.errors import CharRNNError
from charrnn.inference.evaluation import mean_nats
from charrnn.runs.checkpoint import read_checkpoint, write_checkpoint
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.commands import several
from support.models import write_model

VOCAB = Vocabulary.of("\n abcdefgh?")


@pytest.fixture
def told():
    return []


@pytest.fixture
def model(tmp_path, told):
    path = tmp_path / "checkpoints/one/best.safetensors"
    path.parent.mkdir(parents=True)
    write_model(path, VOCAB)
    return charrnn.load(path, notify=told.append)


def test_a_seed_gives_one_text_however_it_is_asked_for(model):
    text = model.sample(200, prime="bad ", temperature=0.9, seed=4)
    assert len(text) == 200 and set(text) <= set(VOCAB.symbols)
    assert "".join(model.stream(200, prime="bad ", temperature=0.9, seed=4)) == text
    characters = list(model.characters(200, prime="bad ", temperature=0.9, seed=4, with_nats=True))
    assert VOCAB.decode([character.id for character in characters]) == text
    assert model.sample(200, prime=model.encode("bad "), temperature=0.9, seed=4) == text
    assert model.sample(200, prime=b"bad ", temperature=0.9, seed=4) == text
    first, second = model.samples(2, 200, prime="bad ", temperature=0.9, seed=4)
    assert first.text == text != second.text
    nats = np.array([character.nats for character in characters])
    np.testing.assert_allclose(first.nats, nats, rtol=1e-3)
    assert first.bits_per_char == pytest.approx(nats.mean() / np.log(2), rel=1e-4)
    assert first.log_probability == pytest.approx(-nats.sum(), rel=1e-4)
    assert model.sample_many(2, 200, prime="bad ", temperature=0.9, seed=4) == [first.text, second.text]


def test_without_a_seed_every_text_is_another(model):
    assert model.sample(100) != model.sample(100)


def test_until_and_unique_and_filters_reach_the_generator(model):
    texts = model.sample_many(30, 6, until="a", unique=True, allow="abc", seed=1)
    assert len(set(texts)) == len(texts) == 30 and set("".join(texts)) == {"b", "c"}
    assert model.sample(9, temperature=0) == model.sample(9, temperature=0) == model.sample(9, top_k=1)
    assert "c" not in model.sample(300, forbid="c", seed=1)


def test_a_search_for_new_texts_that_finds_none_says_so(model, told):
    assert sorted(model.sample_many(5, 1, allow="ab", unique=True)) == ["a", "b"]
    assert told == ["Found 2 of 5: 1,000 samples in a row were not new. A higher `temperature` may help."]


@pytest.mark.parametrize("skipping", [{"unique": True}, {"novel_to": "text"}])
def test_blank_samples_are_passed_over(skipping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("bad\n")
    write_model(tmp_path / "lines.safetensors", VOCAB, TextConfig(one_per_line=True))
    model = charrnn.load("lines.safetensors")
    # Half of what the model says, and more, is a space or nothing.
    asked = {"lines": 1, "allow": " a", "temperature": 9.0, "seed": 1}
    every, found = model.sample_many(300, 4, **asked), model.sample_many(12, 4, **asked, **skipping)
    assert sum(not text.strip() for text in every) > 50
    assert len(found) == 12 and all(text.strip() for text in found)
    # Those are the first that are not.
    spoken = [text for text in every if text.strip()]
    assert found == (list(dict.fromkeys(spoken)) if "unique" in skipping else spoken)[:12]
    # The end of a line that the prime began is something.
    primed = model.sample_many(50, 4, prime="a", **asked, novel_to="text")
    assert "\n" in primed


def test_what_a_model_of_records_compares_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "records.safetensors", Vocabulary.of("ab" + RECORD_END), with_records(TextConfig(field="t")))
    model = charrnn.load("records.safetensors")
    how = {"temperature": 9.0, "seed": 1}
    made = {text.removesuffix(RECORD_END) for text in model.sample_many(200, 2, **how)}
    known = {"a", "ab", "bb"}
    assert known < made
    # Records are compared by the field of the model; of a plain text any part is known.
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"t": text}) + "\n" for text in known))
    (tmp_path / "a.txt").write_text("xabbx")
    for source in ("a.jsonl", "a.txt"):
        found = {text.removesuffix(RECORD_END) for text in model.sample_many(200, 2, **how, novel_to=source)}
        assert found and not known & found, source
    assert "b" in {text.removesuffix(RECORD_END) for text in model.sample_many(200, 2, **how, novel_to="a.jsonl")}


def test_a_text_that_is_too_long_is_not_kept_for_the_line_break_at_its_end(tmp_path):
    write_model(tmp_path / "plain.safetensors", VOCAB, TextConfig(documents_between="bb"))
    model = charrnn.load(tmp_path / "plain.safetensors")
    how = {"until": "c", "max_length": 3, "temperature": 3.0, "seed": 1}
    assert all(len(text) <= 3 for text in model.sample_many(60, 40, **how))


def test_a_stop_that_the_model_cannot_write_is_told_of(model, told):
    assert len(model.sample(20, until=["zz"], seed=1)) == 20
    assert told == ["`until='zz'`: the model does not know all of these characters, so it will never write them."]


def test_novel_texts_are_not_in_the_text_that_is_named(model, tmp_path):
    (tmp_path / "seen.txt").write_text("aab abb ba")
    texts = model.sample_many(3, 2, allow="ab", novel_to=[str(tmp_path / "seen.txt")], unique=True, seed=1)
    # Of aa, ab, ba and bb the text has all.
    assert texts == []
    (tmp_path / "seen.txt").write_text("aab")
    assert sorted(model.sample_many(3, 2, allow="ab", novel_to=[str(tmp_path / "seen.txt")], unique=True)) == [
        "ba",
        "bb",
    ]


def test_samples_of_several_primes_and_temperatures(model):
    made = list(model.samples_of(["bad ", "fade "], [0.5, 1.5], 3, 20, seed=4))
    assert [(one.prime, one.temperature) for one in made[::3]] == [
        ("bad ", 0.5), ("bad ", 1.5), ("fade ", 0.5), ("fade ", 1.5)
    ]  # fmt: skip
    alone = model.sample_many(3, 20, prime="fade ", temperature=0.5, seed=4)
    assert [one.text for one in made[6:9]] == alone
    # One of each, a text alone, and what is drawn without a seed differs.
    (one,) = model.samples_of("bad ", 0.7, length=9)
    assert (one.prime, one.temperature, len(one.text)) == ("bad ", 0.7, 9)
    first, second = model.samples_of("bad ", [1.0, 1], 1, 60)
    assert first.text != second.text
    assert model.likeliest(2, 5, prime="bad ").temperature is None
    for wrong in ({"primes": 5}, {"temperatures": "hot"}, {"temperatures": 1.0, "temperature": 2.0}):
        with pytest.raises(CharRNNError, match=f"`{min(wrong)}"):
            model.samples_of(**wrong)


def test_samples_of_a_model_of_lines_are_lines(tmp_path):
    write_model(tmp_path / "lines.safetensors", VOCAB, TextConfig(one_per_line=True))
    write_model(tmp_path / "one.safetensors", Vocabulary.of("abc"), TextConfig(one_per_line=True))
    lines = charrnn.load(tmp_path / "lines.safetensors")
    texts = lines.sample_many(6, 500, seed=1)
    assert len(texts) == 6 and all(text.count("\n") == 1 and text.endswith("\n") for text in texts)
    assert lines.sample_many(2, 500, lines=3, seed=1) == lines.sample_many(1, 500, lines=6, seed=1) == texts
    assert len(set(lines.sample_many(6, 500, seed=1, unique=True))) == 6
    assert lines.likeliest(2, 500).text.count("\n") == 1
    # Where an end is named it holds; a stream goes on; one that knows no line break cannot end a line.
    assert any("\n" in text for text in lines.sample_many(6, 500, until="a", seed=1))
    assert lines.sample_many(6, 500, until=[], seed=1) == texts
    flow = lines.sample(500, seed=1)
    assert flow.endswith("\n") and flow.rindex("\n", 0, -1) < 499 < len(flow)
    assert [len(text) for text in charrnn.load(tmp_path / "one.safetensors").sample_many(2, 9)] == [9, 9]


def test_a_prime_with_unknown_characters_is_refused_or_admitted(model, told):
    with pytest.raises(CharRNNError, match="`prime` has characters that the model does not know: 'z'"):
        model.sample(5, prime="baz")
    assert VOCAB.decode(model.encode("baz", "skip")) == "ba" and "left out" in told[0]
    assert VOCAB.decode(model.encode("baz", "replace")) == "ba?"
    with pytest.raises(CharRNNError, match="`unknown` is 'drop'"):
        model.encode("baz", "drop")


def test_scores_are_of_each_line_by_itself(model):
    one, two, strange = model.score(["bad", "cafe", "z"])
    assert (one.text, two.text) == ("bad", "cafe") and len(two.surprisal) == 4
    assert two.bits == pytest.approx(two.surprisal.sum()) == pytest.approx(4 * two.bits_per_char)
    assert model.score(["cafe"])[0].bits == pytest.approx(two.bits, rel=1e-5)
    assert strange.unknown == 1 and strange.bits == pytest.approx(20.0848, abs=1e-4)


def test_scores_tell_the_worst_stretch_and_what_is_above_the_usual(model):
    model.network.val_nats = 2 * np.log(2)
    long, short, empty = model.score(["bad cafe dead beef", "bad", ""])
    stretches = [long.surprisal[place : place + 8].sum() / 8 for place in range(11)]
    assert long.worst == pytest.approx(max(stretches)) and short.worst == pytest.approx(short.bits / 8)
    assert long.excess == pytest.approx((long.bits - 2 * 18) / 18**0.5)
    assert [long.by(rank) for rank in ("mean", "worst", "excess")] == [long.bits_per_char, long.worst, long.excess]
    assert np.isnan([empty.worst, empty.excess]).all()
    # Validation may not be recorded.
    model.network.val_nats = None
    (alone,) = model.score(["bad"])
    assert np.isnan(alone.excess) and alone.worst == pytest.approx(short.worst, rel=1e-5)


def test_a_line_for_a_model_of_bytes_is_its_utf8(tmp_path):
    write_model(tmp_path / "bytes.safetensors", Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True))
    of_bytes = charrnn.load(tmp_path / "bytes.safetensors")
    text, odd = of_bytes.score(["a☞é", "\udcff"])
    assert (text.unknown, text.characters, odd.characters) == (0, 6, 1)
    # A character of what it has read is a byte, and each has its bits.
    assert text.text == text.read == "a☞é".encode().decode("latin-1") and len(text.surprisal) == len(text.text)
    (whole,) = of_bytes.complete(["☞"], length=4)
    assert of_bytes.complete(["\udce2"], append=b"\x98\x9e", length=4) == [whole]


def test_completions_are_the_likeliest_and_end_with_the_line(model):
    greedy = model.complete(["bad", "cab"], length=12)
    assert len(greedy) == 2 and all("\n" not in text and len(text) <= 12 for text in greedy)
    assert greedy[0] == model.sample(12, prime="\nbad", temperature=0, until="\n")
    beam = model.complete(["bad"], length=6, beam=4, until=["gg"])
    assert beam == [model.likeliest(4, 6, prime="\nbad", until="gg").text]
    assert model.complete(["bad"], length=12, temperature=1.0, seed=2) != model.complete(["bad"], length=12)
    told = []
    charrnn.load(model.path, told.append).complete(["bad", "abc"], length=40, no_repeat=1, until="zz" * 99)
    assert [notice.partition(":")[0] for notice in told if "no_repeat" in notice] == ["`no_repeat=1`"]
    for drawing in ({"no_repeat": 3}, {"temperature": 0.5}, {"seed": 0}, {"typical": 0.5}):
        with pytest.raises(CharRNNError, match="`beam` searches"):
            model.complete(["bad"], beam=2, **drawing)
        with pytest.raises(CharRNNError, match="`beam` searches"):
            model.likeliest(2, 5, **drawing)
    # None is as left out.
    assert model.complete(["bad"], length=6, beam=4, until=None, seed=None) == model.complete(["bad"], length=6, beam=4)
    assert model.sample(9, temperature=None, until=None, seed=1) == model.sample(9, seed=1)


def test_an_evaluation_is_that_of_the_whole_text(model, tmp_path, told):
    path = tmp_path / "text.txt"
    path.write_text("bad cafe\n" * 30)
    found = model.evaluate(path)
    whole = as_ids(read_text([path]), VOCAB).part
    assert found.nats_per_char == pytest.approx(mean_nats(model.network, [whole]), rel=1e-6)
    assert found.characters == 270 and found.bits_per_byte == pytest.approx(found.bits_per_char)
    assert found.perplexity == pytest.approx(np.exp(found.nats_per_char))
    path.write_text("bad zoe\n" * 30)
    assert np.isnan(model.evaluate([path], unknown="skip").bits_per_byte) and "left out" in told[-1]


TRAINED = "This is the text that the model was trained on"
FIGURE = ": the loss on other texts will be higher."
VALIDATED = (
    "This is the text that the model was validated on. Its best checkpoint was chosen by this text, so the loss on "
    "other "
    "texts may be a little higher."
)


@pytest.mark.parametrize(
    ("config", "with_val_file", "said"),
    [
        (TrainConfig(), False, f"{TRAINED}, its validation part included{FIGURE}"),
        (TrainConfig(split="char-rnn", val=0.0), False, f"{TRAINED}, its validation part included{FIGURE}"),
        (TrainConfig(val=0.0), False, TRAINED + FIGURE),
        (TrainConfig(), True, TRAINED + FIGURE),
    ],
)
def test_a_text_that_the_model_knows_is_told(config, with_val_file, said, model, tmp_path, told):
    texts = {"train": "bad cafe\n" * 9, "half": "bad cafe\n" * 4, "other": "a cage\n" * 9}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/1").write_text(texts["train"][:10])
    (tmp_path / "folder/2").write_text(texts["train"][10:])
    digests = {name: sha256(text.encode()).hexdigest() for name, text in texts.items()}
    val = (("gone",), digests["other"]) if with_val_file else (None, None)
    record = CorpusRecord(("gone",), digests["train"], 81, (), *val)
    write_checkpoint(model.path, replace(read_checkpoint(model.path), training=config, progress=Progress(record)))
    for name, expected in (
        ("train", [said]),
        # Wherever it lies now, in however many files.
        ("folder", [said]),
        ("half", []),
        ("other", [VALIDATED] if with_val_file else []),
    ):
        told.clear()
        model.evaluate(str(tmp_path / name))
        assert told == expected
        if name != "folder":
            told.clear()
            model.pieces(str(tmp_path / name))
            assert told == expected


def test_the_commands_say_that_the_model_knows_the_text(model, tmp_path):
    (tmp_path / "train").write_text("bad cafe\n" * 9)
    record = CorpusRecord(("gone",), read_text([tmp_path / "train"]).sha256, 81)
    known = replace(read_checkpoint(model.path), training=TrainConfig(), progress=Progress(record))
    write_checkpoint(model.path, known)
    said = several(tmp_path, ("eval", "", "eval", "one", "train"), ("score", "train", "score", "one", "--whole"))
    assert set(said.values()) == {(f"{TRAINED}, its validation part included{FIGURE}\nexit 0\n", 0)}


def test_a_parameter_that_is_not_there_is_an_error(model):
    with pytest.raises(CharRNNError, match=r"Sampling has no parameter `temp`\. It has temperature, top_k"):
        model.sample(5, temp=0.5)
    with pytest.raises(CharRNNError, match="`top_p` is 2; it must be above 0 and at most 1"):
        model.sample(5, top_p=2)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("length", lambda model: next(model.stream(-1))),
        ("length", lambda model: next(model.stream("20"))),
        ("length", lambda model: next(model.stream(2.5))),
        ("length", lambda model: model.likeliest(2, -1)),
        ("length", lambda model: model.complete([], length=-1)),
        ("count", lambda model: model.sample_many(-1, 5)),
        ("beam", lambda model: model.likeliest(0, 5)),
        ("beam", lambda model: model.complete([], beam=0)),
        ("lines", lambda model: model.sample(5, lines=0)),
        ("no_repeat", lambda model: model.sample(5, no_repeat=-1)),
    ],
)
def test_a_number_of_things_is_a_whole_one(model, name, call):
    with pytest.raises(CharRNNError, match=rf"`{name}` is \S+; it must be a whole number, at least [01]\."):
        call(model)
    assert len(model.sample(np.int64(5), seed=1)) == 5


def test_the_runs_of_a_folder_are_listed(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (run,) = charrnn.list_runs()
    assert (run.name, run.steps, run.model.title, run.note) == ("one", None, "rnn 2x16", None)
    assert run.load().path == run.path / "best.safetensors" and run.history() == []
    assert charrnn.list_runs(tmp_path / "elsewhere") == []
    with pytest.raises(CharRNNError, match="There is no run 'two'"):
        charrnn.load("two")


def test_one_text_is_not_lines(model):
    for use in (model.score, model.complete):
        with pytest.raises(CharRNNError, match="A list of lines was expected, but a single text was given"):
            use("bad cafe")


def test_what_a_prime_has_that_is_unknown_is_treated_as_wished(model):
    known = {"seed": 1, "length": 9}
    expected = model.sample(prime="ab", **known)
    assert model.sample(prime="aZb", unknown="skip", **known) == expected
    assert "".join(model.stream(prime="aZb", unknown="skip", **known)) == expected
    for how in ({"prime": "aZb"}, {"prime": "aZb", "unknown": "error"}):
        with pytest.raises(CharRNNError, match="`prime` has characters that the model does not know"):
            model.sample(**how, **known)
    (many,) = model.sample_many(1, prime="aZb", unknown="skip", **known)
    assert many == expected
    assert model.likeliest(2, 5, prime="aZb", unknown="skip").text == model.likeliest(2, 5, prime="ab").text
    with pytest.raises(CharRNNError, match="`unknown` is 'never'"):
        model.sample(prime="ab", unknown="never", **known)
