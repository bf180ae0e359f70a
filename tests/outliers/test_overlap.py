import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expose.errors import InputError
from expose.kinds import Images
from expose.outliers import check_overlap, jigsaw, without_overlap
from expose.outliers.shingles import most_alike


def rows(n, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


# ------------------------------------------------------------------------------------------------- tables


def test_planted_copies_and_near_copies_are_found_and_nothing_else():
    test, normal, outliers = rows(300, seed=1), rows(400, seed=2), rows(200, seed=3)
    outliers[[5, 60]] = test[[7, 8]]
    outliers[90] = test[9] + 1e-4
    outliers[91] = normal[11] - 1e-4
    found = check_overlap(outliers, {"test": test, "normal": normal})
    in_test, in_normal = found.matches
    assert in_test.exact.tolist() == [[5, 7], [60, 8]]
    assert in_test.near.tolist() == [[90, 9]]
    assert in_normal.exact.tolist() == []
    assert in_normal.near.tolist() == [[91, 11]]
    assert found.rows.tolist() == [5, 60, 90, 91]
    assert str(found) == (
        "of 200 auxiliary outliers: 2 equal and 1 nearly equal in test (0.0 % of test are as near to another of its "
        "rows); 0 equal and 1 nearly equal in normal (0.0 % of normal are as near to another of its rows)."
    )
    kept = without_overlap(outliers, {"test": test, "normal": normal})
    np.testing.assert_array_equal(kept, np.delete(outliers, [5, 60, 90, 91], axis=0))
    assert str(check_overlap(kept, test)) == "of 196 auxiliary outliers: none in the other set."


def test_near_0_looks_for_equal_rows_only():
    test = rows(50)
    test[1] = test[0]
    found = check_overlap(np.stack([test[0], test[3] + 1e-6]), test, near=0)
    assert found.matches[0].exact.tolist() == [[0, 0]]
    assert found.matches[0].near.shape == (0, 2)
    assert found.matches[0].usual == pytest.approx(2 / 50)


def test_frames_with_categories_times_and_gaps():
    frame = pd.DataFrame(
        {
            "x": [1.0, np.nan, -0.0, 5.0],
            "kind": ["a", "b", None, "a"],
            "when": pd.to_datetime(["2024-01-01", "2024-01-02", None, "2024-01-04"]),
        }
    )
    outliers = frame.iloc[[1, 2, 3]].copy()
    outliers["x"] = [np.nan, 0.0, 5.0]
    outliers.loc[3, "kind"] = "new"
    found = check_overlap(outliers, frame)
    assert found.matches[0].exact.tolist() == [[0, 1], [1, 2]]
    kept = without_overlap(outliers, frame, near=0)
    assert isinstance(kept, pd.DataFrame)
    assert kept["kind"].tolist() == ["new"]


def test_rows_of_single_and_double_precision_are_the_same_rows():
    test = rows(40)
    found = check_overlap(test[:3].astype(np.float32), test, near=0)
    assert len(found.matches[0].exact) == 3


def test_in_few_columns_the_usual_share_warns():
    found = check_overlap(rows(500, 1, seed=1), rows(500, 1, seed=2)).matches[0]
    assert len(found.near) > 10
    assert found.usual > 0.05
    assert f"{100 * found.usual:.1f} %" in str(found)


def test_other_columns_or_kinds_are_said():
    with pytest.raises(InputError, match="same columns"):
        check_overlap(rows(5, 2), rows(5, 3))
    with pytest.raises(InputError, match="kind 'table', but the other set is of kind 'text'"):
        check_overlap(rows(5), ["a text"])
    with pytest.raises(InputError, match=r"near must be in \[0, 1\)"):
        check_overlap(rows(5), rows(5), near=1)


# ------------------------------------------------------------------------------------------------- images


def scenes(n, size=32, seed=0, channels=3):
    """Smooth random pictures."""
    coarse = np.random.default_rng(seed).random((n, 8, 8, channels))
    return (np.kron(coarse, np.ones((1, size // 8, size // 8, 1))) * 255).astype(np.uint8)


def test_copies_of_images_of_another_type_size_and_quality():
    test, outliers = scenes(60, seed=1), scenes(30, seed=2)
    noise = np.random.default_rng(0).integers(-3, 4, size=test[0].shape)
    outliers[3] = test[10]
    outliers[4] = np.clip(test[11].astype(int) + noise, 0, 255)
    found = check_overlap(outliers, test).matches[0]
    assert found.exact.tolist() == [[3, 10]]
    assert found.near.tolist() == [[4, 11]]
    assert found.usual == 0
    assert len(check_overlap((test[:5] / 255).astype(np.float32), test).matches[0].exact) == 5
    smaller = [test[12][::2, ::2], outliers[0]]
    assert check_overlap(smaller, test).matches[0].near.tolist() == [[0, 12]]
    assert len(without_overlap(smaller, test)) == 1


def test_grey_images_meet_colour_ones_and_those_with_one_channel():
    colour = scenes(20)
    grey = colour.mean(-1).astype(np.uint8)
    assert check_overlap(grey[:2], colour).matches[0].near.tolist() == [[0, 0], [1, 1]]
    assert check_overlap(grey[:2, :, :, None], grey).matches[0].exact.tolist() == [[0, 0], [1, 1]]


def test_a_jigsaw_is_no_copy():
    images = scenes(50)
    assert check_overlap(jigsaw(images, random_state=0), images).rows.size == 0


def test_a_folder_of_images(tmp_path):
    from PIL import Image

    images = scenes(6)
    for number, image in enumerate(images[:3]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    assert check_overlap(tmp_path, images[1:]).matches[0].exact.tolist() == [[1, 0], [2, 1]]
    kept = without_overlap(tmp_path, images[1:])
    assert isinstance(kept, Images)
    assert kept.names == ("0.png",)


@pytest.mark.parametrize("size", [5, 8, 13])
def test_images_of_any_size(size):
    images = np.random.default_rng(0).integers(256, size=(20, size, size)).astype(np.uint8)
    assert check_overlap(images[4:6], images).matches[0].exact.tolist() == [[0, 4], [1, 5]]


# -------------------------------------------------------------------------------------------------- texts


def test_texts_equal_but_for_case_signs_and_spaces_and_nearly_equal_ones():
    test = ["The red one,  was broken!", "one two three four five six seven eight nine ten eleven twelve", "fine"]
    outliers = ["the RED one was\tbroken", test[1] + " thirteen", "something else altogether", "finely"]
    found = check_overlap(outliers, test)
    assert found.matches[0].exact.tolist() == [[0, 0]]
    assert found.matches[0].near.tolist() == [[1, 1]]
    assert without_overlap(outliers, test) == outliers[2:]
    assert isinstance(without_overlap(pd.Series(outliers), test), pd.Series)


SETS = st.lists(st.frozensets(st.sampled_from("abcdefgh"), min_size=1), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(SETS, SETS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_most_alike_sets_are_those_of_comparing_all(mine, theirs, least):
    alike, places = most_alike(mine, theirs, least)
    for row, members in enumerate(mine):
        all_of_them = [len(members & other) / len(members | other) for other in theirs]
        if max(all_of_them) >= least:
            assert alike[row] == pytest.approx(max(all_of_them))
            assert all_of_them[places[row]] == pytest.approx(max(all_of_them))
        else:
            assert alike[row] < least
