"""The page holds everything, says every verdict in words, and never shows as passed what was not run."""

import html
import re
from dataclasses import replace

import pytest

from unbend.lab import Check, Verdict, claim
from unbend.lab.entries import entry
from unbend.lab.page import code, page, summary
from unbend.lab.results import Run, source
from unbend.lab.runner import Task, perform


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def entries(folder):
    ran = [
        entry(claim("xor_impossible"), [perform(Task("xor_impossible", seed, "quick", folder)) for seed in (0, 1)]),
        entry(claim("neuron"), [perform(Task("neuron", 0, "quick", folder))]),
    ]
    lacking = Run("cover", 0, "quick", "not run", "Install it: apt install <dataset> & more")
    broken = Verdict("holds", "So it is.", (Check("a number", 2.0, 0, 1, "because"),))
    failed = Run("sawtooth", 0, "quick", "failed", verdict=broken, finding="It was 2.")
    return [*ran, entry(claim("cover"), [lacking]), entry(claim("sawtooth"), [failed])]


@pytest.fixture(scope="module")
def text(entries, folder):
    return page(entries, folder)


def article(text, name):
    return text[text.index(f'<article id="{name}"') :].partition("</article>")[0]


def test_it_needs_nothing_from_elsewhere(text):
    inside = re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
    linked = re.findall(r'(?:src|href)="([^"#][^"]*)"', inside)
    assert [link[:5] for link in linked if not link.startswith("#")] == ["data:"] * len(linked)
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", inside).replace("http-equiv", "")
    assert len(text) < 2_000_000


def test_every_verdict_is_a_word_and_a_sign(text):
    for name, sign, word in (
        ("xor_impossible", "✓", "holds"), ("cover", "–", "not run"), ("sawtooth", "!", "failed"),
    ):  # fmt: skip
        assert f'<i aria-hidden="true">{sign}</i><b>{word}</b>' in article(text, name)


def test_what_was_not_run_says_what_to_install_and_claims_nothing(text):
    shown = article(text, "cover")
    assert "apt install &lt;dataset&gt; &amp; more" in shown
    assert "<svg" not in shown
    assert 'class="checks"' not in shown
    assert "<b>Measured.</b>" not in shown


def test_a_broken_check_is_marked(text):
    assert '<tr class="broken">' in article(text, "sawtooth")
    assert '<tr class="broken">' not in article(text, "xor_impossible")


def test_figures_have_words_for_those_who_do_not_see_them(text):
    label = re.search(r'<svg role="img" aria-label="([^"]*)"', article(text, "xor_impossible"))
    assert label is not None
    assert "No line separates XOR." in label[1]
    assert "Weights 0.5" in label[1]


def test_ids_are_not_used_twice(text):
    found = re.findall(r'\sid="([^"]+)"', text)
    assert len(found) == len(set(found))


def test_the_code_shown_is_the_source_and_ends_with_the_call(text, entries):
    shown = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", article(text, "xor_impossible"), re.DOTALL)
    assert shown is not None
    plain = html.unescape(re.sub(r"<[^>]+>", "", shown[1]))
    assert plain.strip() == code(entries[0].claim, entries[0].runs[0]).strip()
    assert plain.startswith(source(entries[0].claim).rstrip())
    assert 'result = run(seed=0, budget="quick")' in plain


def test_numbers_over_seeds_show_their_spread(entries, folder):
    run = entries[1].runs[0]
    checks = [replace(run.verdict.checks[0], measured=value) for value in (5.0, 5.5, 7.0)]
    runs = [replace(run, seed=i, verdict=replace(run.verdict, checks=(c,))) for i, c in enumerate(checks)]
    shown = article(page([entry(claim("neuron"), runs)], folder), "neuron")
    assert "<td>5.5</td><td>5 … 7</td>" in shown


def test_the_summary_counts(entries):
    assert summary(entries) == "Of 4 claims, 2 hold as told, 1 failed its checks and 1 was not run."
    assert summary(entries[:1]) == "One claim: 1 holds as told."
