import json

import numpy as np
import pytest

PUBLISHED = {
    "mean": {"trec": {"fpr_at_tpr": [50.0, 5.0], "auroc": [80.0, 99.0], "average_precision": [40.0, 90.0]}},
    "rows": {
        "trec": {
            source: {"fpr_at_tpr": [before, 4.0], "auroc": [80.0, 99.0], "average_precision": [40.0, 90.0]}
            for source, before in (("imdb", 30.0), ("multi30k", 60.0), ("wmt16", 90.0), ("snli", 0.0))
        }
    },
}


@pytest.fixture(scope="module")
def page(from_benchmarks):
    return from_benchmarks("text_outliers_page")


@pytest.fixture(scope="module")
def benchmark(from_benchmarks):
    return from_benchmarks("text_outliers")


def judged(sources, value, error=0.2):
    metrics = {"fpr_at_tpr": value, "auroc": 1 - value, "average_precision": 1 - 2 * value}
    scores = [
        {"score": score, "source": source} | metrics | ({"fpr_at_tpr": value / 2} if score == "entropy" else {})
        for score in ("msp", "entropy")
        for source in sources
    ]
    kept = [{"source": s, "rms": value, "mad": value / 2, "soft_f1": 0.5} for s in (*sources, "normal only")]
    return {"error": error, "detection": scores, "calibration": {"temperature": 1.5, "records": kept}}


def facts(benchmark, after):
    sources, runs = benchmark.TESTED["trec"], []
    for seed in (0, 1):
        common = {"dataset": "trec", "seed": seed, "cpu_seconds": 60.0}
        more = {"rows": {"train": 4907, "held_out": 545, "test": 500}, "classes": 50, "tokens": 19}
        both = {"before": judged(sources, 0.4 + 0.1 * seed), "after": judged(sources, after, 0.25)}
        runs.append(common | {"run": "main"} | both | more)
        tried = {"run": "auxiliary", "what": "few", "outliers": 177}
        runs.append(common | tried | judged(("imdb", "ptb"), 0.3))
        runs.append(common | {"run": "variant", "what": "from scratch"} | judged(sources, 0.02))
    overlap = [{"source": "ptb", "texts": 7131, "equal": 1, "near": 0, "examples": ["Austin , Texas ."]}]
    return {"finished": "2026-11-25", "outliers": 17727, "overlap": overlap, "runs": runs}


def test_the_page_compares_with_the_published_rows_of_the_same_sources(page, benchmark):
    text = page.make(facts(benchmark, 0.06), PUBLISHED)
    assert "| TREC, same sources | published, before | 60.0 |" in text
    assert "| TREC, same sources | before, MSP | 45.0 ± 7.1 |" in text
    assert "| TREC, same sources | after, -H(U; p) | 3.0 ± 0.0 | 94.0 ± 0.0 |" in text
    assert "| IMDB | 30.0 → 4.0 | 45.0 ± 7.1 | 6.0 ± 0.0 | 3.0 ± 0.0 |" in text
    assert "| movie reviews |  | 45.0 ± 7.1 |" in text
    assert "60.0 → 4.0 published, 45.0 → 6.0 here: the published level is **not reached**" in text
    assert "the published level is **reached**" in page.make(facts(benchmark, 0.04), PUBLISHED)


def test_the_page_shows_errors_calibration_and_what_else_was_tried(page, benchmark):
    text = page.make(facts(benchmark, 0.06), PUBLISHED)
    assert "| TREC | 50 | 20.0 ± 0.0 | 25.0 ± 0.0 |" in text
    assert "| TREC | before | 1.50 | 45.0 ± 7.1 | 22.5 ± 3.5 | 50.0 ± 0.0 |" in text
    assert "| none: before exposure | 0 | 2 | 45.0 ± 7.1 |" in text
    assert "| few | 177 | 2 | 30.0 ± 0.0 | 15.0 ± 0.0 | 70.0 ± 0.0 | 20.0 ± 0.0 |" in text
    assert "| as in the paper | 2 | 6.0 ± 0.0 |" in text
    assert "| from scratch | 2 | 2.0 ± 0.0 |" in text
    assert 'Equal: "Austin , Texas .".' in text


def test_the_committed_page_is_what_the_committed_results_give(page):
    if not page.RESULTS.exists():
        pytest.skip("there are no results")
    results, published = (json.loads(path.read_text(encoding="utf-8")) for path in (page.RESULTS, page.PUBLISHED))
    assert page.make(results, published) == page.PAGE.read_text(encoding="utf-8"), "run text_outliers_page.py"


def test_the_published_rows_have_the_published_means(page):
    published = json.loads(page.PUBLISHED.read_text(encoding="utf-8"))
    for name, rows in published["rows"].items():
        for metric, printed in published["mean"][name].items():
            assert len(rows) == 10
            means = np.mean([row[metric] for row in rows.values()], axis=0)
            np.testing.assert_allclose(means, printed, atol=0.21)  # of rounded rows


def test_texts_lose_what_tells_their_files_apart(benchmark):
    assert benchmark.cleaned("a &quot; b &quot;<br /><br />c") == 'a " b "  c'
    assert benchmark.cleaned("2 @,@ 000 well @-@ known <unk>") == f"2,000 well-known {benchmark.UNKNOWN}"
    assert benchmark.shortened("One two , THREE four", 3) == "one two ,"
    assert benchmark.shortened("One two , THREE", 4) == "One two , THREE"


def test_a_mark_makes_another_word_of_the_first_one_alone(benchmark):
    assert benchmark.mark("the end of the") == "the0 end of the"
    assert benchmark.mark("... the end") == "... the0 end"


def test_rows_set_apart_leave_every_class_in_training(benchmark):
    rows = [{"class": "common" if i % 10 else f"rare {i}", "text": str(i)} for i in range(100)]
    kept, train = benchmark.set_apart(rows)
    assert len(kept) == 10
    assert len(train) == 90
    assert {row["class"] for row in train} == {row["class"] for row in rows}
    assert not {row["text"] for row in kept} & {row["text"] for row in train}


def test_scores_of_log_probabilities_are_those_of_the_classifier(benchmark):
    texts = ["red red car", "blue car", "green tree", "tall tree"] * 4
    model = benchmark.new(0).set_params(epochs=2, batch_size=8).fit(texts, np.repeat(["a", "b"], 8))
    log_p = model.predict_log_proba(texts)
    for name, score in benchmark.SCORES.items():
        np.testing.assert_allclose(score(log_p), model.anomaly_score(texts, name), rtol=1e-5, atol=1e-6)
