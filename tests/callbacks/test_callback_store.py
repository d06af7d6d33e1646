"""A dispatcher needs two things of a store: a lease that can be lost, and a place for its checkpoint."""

from tests.store.samples import append


def test_a_checkpoint_is_kept_by_name_over_processes(open_stores):
    one, two = open_stores(), open_stores()
    assert one.checkpoint("callbacks") == 0
    one.save_checkpoint("callbacks", 7)
    one.save_checkpoint("callbacks", 2**40)
    two.save_checkpoint("other", 3)
    assert [two.checkpoint(name) for name in ("callbacks", "other", "none")] == [2**40, 3, 0]


def test_leads_is_true_for_the_holder_alone_and_for_the_block(open_stores):
    one, two = open_stores(), open_stores()
    assert not one.leads("callbacks")
    with one.leadership("callbacks"):
        assert (one.leads("callbacks"), two.leads("callbacks")) == (True, False)
        with two.leadership("callbacks"):
            assert not two.leads("callbacks")
        assert one.leads("callbacks")
    assert not one.leads("callbacks")


def test_the_log_is_read_in_stretches(store):
    store.append([append(stream, 0) for stream in "abcde"])
    read = [
        [row.position for row in store.read_log(after, 9, upto=after + 2)] for after in (0, 2, 4)
    ]
    assert read == [[1, 2], [3, 4], [5]]
