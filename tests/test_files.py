"""A file is there whole, or what was there before is there still."""

import os
import stat
from pathlib import Path

import pytest

from unbend.errors import RecordError
from unbend.files import check_apart, check_place, interrupted, whole


def test_it_takes_the_place_when_all_is_written(tmp_path):
    target = tmp_path / "page.html"
    target.write_text("old")
    with whole(target, "the page") as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".html"
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", ["old", None])
def test_an_exception_leaves_what_was_there_and_nothing_beside_it(tmp_path, error, before):
    target = tmp_path / "page.html"
    if before is not None:
        target.write_text(before)
    there = sorted(tmp_path.iterdir())

    def broken():
        with whole(target, "the page") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        broken()
    assert sorted(tmp_path.iterdir()) == there
    assert before is None or target.read_text() == before


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "page.html"
    target.write_text("old")
    with pytest.raises(RecordError, match="No such file"), whole(target, "the page"):
        pass
    assert target.read_text() == "old"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_what_the_system_refuses_is_one_sentence(tmp_path, error):
    target = tmp_path / "page.html"

    def refused():
        with whole(target, "the page") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(RecordError, match=f"page.html: the page could not be written: {error.strerror}. Choose"):
        refused()
    assert not list(tmp_path.iterdir())


def test_what_is_no_file_is_not_replaced(tmp_path):
    for place, kind in ((tmp_path, "folder"), (Path(os.devnull), "device")):
        with pytest.raises(RecordError, match=f"got a {kind}"), whole(place, "the page") as temporary:
            temporary.write_text("new")
    assert tmp_path.is_dir()
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_place_is_checked_before_the_work_and_left_as_it_is(tmp_path):
    target = tmp_path / "page.html"
    check_place(target, "the page")
    assert not list(tmp_path.iterdir())
    target.write_text("old")
    check_place(target, "the page")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert target.read_text() == "old"
    with pytest.raises(RecordError, match="the page could not be written: No such file"):
        check_place(tmp_path / "nowhere" / "page.html", "the page")
    with pytest.raises(RecordError, match="got a folder"):
        check_place(tmp_path, "the page")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "page.html", tmp_path / "link.html"
    link.symlink_to(target)
    with whole(link, "the page") as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path):
    target = tmp_path / ("\N{HEDGEHOG}" * 60 + ".html")
    with whole(target, "the page") as temporary:
        temporary.write_text("new")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_written_again_keeps_its_mode(tmp_path, mode):
    target = tmp_path / "page.html"
    target.write_text("old")
    target.chmod(mode)
    with whole(target, "the page") as temporary:
        temporary.write_text("new")
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_after_an_interrupt_nothing_takes_its_place(tmp_path):
    interrupted.set()
    try:
        with pytest.raises(KeyboardInterrupt), whole(tmp_path / "page.html", "the page") as temporary:
            temporary.write_text("new")
    finally:
        interrupted.clear()
    assert not list(tmp_path.iterdir())


def test_two_places_that_are_one_file_are_refused(tmp_path):
    (tmp_path / "a").write_text("")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    for other in ("a", "link", "hard", "../" + tmp_path.name + "/a"):
        with pytest.raises(RecordError, match="is the same one"):
            check_apart(tmp_path / "a", tmp_path / other)
    check_apart(tmp_path / "a", tmp_path / "b")


def test_links_in_a_circle_are_told(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(RecordError, match=r"circle|symbolic links"):
        check_place(tmp_path / "a", "the page")
