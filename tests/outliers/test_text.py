from collections import Counter

import pytest

from expose.errors import InputError
from expose.outliers import TEXT_MAKERS, draw_words, shuffle_words, splice_texts

TEXTS = ["we ship within two days", "the red one was broken again", "two weeks", "fine", ""]


@pytest.mark.parametrize("maker", TEXT_MAKERS.values(), ids=TEXT_MAKERS)
def test_as_many_as_asked_of_known_words_by_seed(maker):
    made = maker(TEXTS, 40, random_state=0)
    assert len(made) == 40
    assert all(made)
    assert {word for text in made for word in text.split()} <= {word for text in TEXTS for word in text.split()}
    assert made == maker(iter(TEXTS), 40, random_state=0)
    assert made != maker(TEXTS, 40, random_state=1)


@pytest.mark.parametrize("maker", TEXT_MAKERS.values(), ids=TEXT_MAKERS)
def test_what_are_no_texts_is_said(maker):
    with pytest.raises(InputError, match="a list of str; got str"):
        maker("one text")
    with pytest.raises(InputError, match="NoneType among them"):
        maker(["a b", None])
    with pytest.raises(InputError, match="got none"):
        maker([])


def test_shuffling_keeps_the_words_of_each_text_and_changes_their_order():
    made = shuffle_words(TEXTS, 60, random_state=0)
    known = {tuple(sorted(text.split())) for text in TEXTS}
    assert all(tuple(sorted(text.split())) in known for text in made)
    assert not set(made) & set(TEXTS)
    assert len(shuffle_words(TEXTS)) == len(TEXTS)
    with pytest.raises(InputError, match="use draw_words"):
        shuffle_words(["fine", "no no"])


def test_drawn_words_are_as_frequent_and_texts_as_long_as_in_the_corpus():
    corpus = ["a a a b"] * 50 + ["a a"] * 50
    made = draw_words(corpus, 4000, random_state=0)
    words = Counter(word for text in made for word in text.split())
    assert abs(words["b"] / words.total() - 1 / 6) < 0.01
    assert Counter(len(text.split()) for text in made) == {4: 2000, 2: 2000}
    with pytest.raises(InputError, match="every text is empty"):
        draw_words(["", " "])


def test_a_splice_begins_as_one_text_and_ends_as_another():
    texts = ["a1 a2 a3 a4", "b1 b2 b3", "c1 c2"]
    for made in splice_texts(texts, 50, random_state=0):
        words = made.split()
        letters = "".join(word[0] for word in words)
        assert len(set(letters)) == 2
        assert letters == "".join(sorted(letters, key=letters.index))  # one, then the other
        assert words[0][1] == "1"
        last = {"a": "4", "b": "3", "c": "2"}[letters[-1]]
        assert words[-1][1] == last
    with pytest.raises(InputError, match="two texts of two words"):
        splice_texts(["a b", "c"])
