"""Random numbers of the fates: NumPy's Philox, many at once, decided by what they are for."""

import numpy as np
from scipy import stats

from payloadfield.solver.draws import exponential, identities, philox, uniform

WHO = np.random.default_rng(3).integers(0, 2**64, 500, dtype=np.uint64)
NONE = np.zeros(500, np.int64)


def test_the_generator_is_philox_of_numpy_bit_for_bit():
    key, counter = (2**63 + 17, 2**40 + 5), (2**64 - 1, 2**33 + 1, 12345, 2**63)
    theirs = np.random.Philox(counter=np.array(counter, np.uint64), key=np.array(key, np.uint64))
    theirs = theirs.random_raw(4)  # NumPy counts on before it draws
    whole = sum(word << (64 * place) for place, word in enumerate(counter)) + 1
    words = tuple(np.array([whole >> (64 * place) & 2**64 - 1], np.uint64) for place in range(4))
    assert [int(word[0]) for word in philox(words, key)] == theirs.tolist()


def test_a_number_depends_on_seed_purpose_cell_and_repetition_and_on_nothing_else():
    first = uniform(1, "death", WHO, NONE)
    assert np.array_equal(uniform(1, "death", WHO[::-1], NONE)[::-1], first)
    assert np.array_equal(uniform(1, "death", WHO[:7], NONE[:7]), first[:7])
    for other in (uniform(2, "death", WHO, NONE), uniform(1, "birth", WHO, NONE), uniform(1, "death", WHO, NONE + 1)):
        assert (other != first).all() and abs(np.corrcoef(other, first)[0, 1]) < 0.2


def test_numbers_are_uniform_and_exponential():
    numbers = np.concatenate([uniform(5, "x", WHO, NONE + k) for k in range(20)])
    assert numbers.min() >= 0 and numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > 0.01
    waits = np.concatenate([exponential(5, "x", WHO, NONE + k) for k in range(20)])
    assert stats.kstest(waits, "expon").pvalue > 0.01
    assert stats.kstest(waits, "uniform").pvalue < 1e-6


def test_cells_are_known_by_place_and_type_not_by_row():
    place = np.random.default_rng(0).random((50, 3))
    types = np.array(["a", "b"] * 25)
    names = identities(place, types)
    order = np.random.default_rng(1).permutation(50)
    assert len(set(names.tolist())) == 50
    assert np.array_equal(identities(place[order], types[order]), names[order])
    assert (identities(place, types[::-1]) != names).all()


def test_cells_at_the_very_same_place_are_told_apart():
    names = identities(np.zeros((4, 3)), np.array(["a", "a", "b", "a"]))
    assert len(set(names.tolist())) == 4
