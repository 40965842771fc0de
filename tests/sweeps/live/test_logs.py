import threading
import time

import pytest

from sweeps.live import logs
from sweeps.live.logs import show


@pytest.fixture
def trial(tmp_path, drive):
    """A driver, and the folder of its trial 00000."""

    def start(**options):
        driver = drive(tmp_path / "s", **options)
        driver.suggest("00000")
        folder = tmp_path / "s" / "trials" / "00000"
        folder.mkdir(parents=True)
        return driver, folder

    return start


def test_lines_of_several_ranks_say_whose_they_are_and_one_ranks_do_not(tmp_path, trial, capsys):
    _, folder = trial(ranks=2)
    (folder / "log-rank0.txt").write_text("a\nb\n")
    (folder / "log-rank1.txt").write_bytes("ä\nno end".encode() + b"\xff")
    (folder / "checkpoint_000000").mkdir()
    assert show(tmp_path / "s", "0") == 0
    assert capsys.readouterr() == ("[0] a\n[0] b\n[1] ä\n[1] no end\ufffd\n", "")
    assert show(tmp_path / "s", "00000", rank=1) == 0
    assert capsys.readouterr().out == "ä\nno end\ufffd\n"
    with pytest.raises(ValueError, match=r"--rank is 2; the trials of .* have ranks 0 to 1"):
        show(tmp_path / "s", "0", rank=2)


def test_the_last_lines_are_found_without_reading_the_rest(tmp_path, trial, capsys):
    _, folder = trial()
    content = [f"line {i} {'x' * 90}\n" for i in range(5_000)]
    (folder / "log-rank0.txt").write_text("".join(content))
    for count in (1, 3, 999, 4_999, 5_000, 9_999):
        show(tmp_path / "s", "0", lines=count)
        assert capsys.readouterr().out == "".join(content[-count:])
    show(tmp_path / "s", "0", lines=0)
    assert capsys.readouterr().out == ""
    show(tmp_path / "s", "0")
    assert capsys.readouterr().out == "".join(content)
    with pytest.raises(ValueError, match="-n is -1"):
        show(tmp_path / "s", "0", lines=-1)


def test_a_script_has_its_two_files(tmp_path, trial, capsys):
    _, folder = trial()
    (folder / "stdout.txt").write_text("hello\n")
    (folder / "stderr.txt").write_text("oh\n")
    show(tmp_path / "s", "0")
    assert capsys.readouterr().out == "[err] oh\n[out] hello\n"


def test_following_prints_what_comes_until_the_trial_has_ended(tmp_path, trial, capsys):
    driver, folder = trial()
    file = folder / "log-rank0.txt"
    file.write_text("one\ntwo\n")

    def go_on():
        time.sleep(1)
        with file.open("a") as log:
            log.write("three\nfo")
        time.sleep(1)
        with file.open("a") as log:
            log.write("ur\n")
        driver.report("00000", 1, 0.5)
        driver.end("00000", "failed", "Traceback\nOSError: gone")

    thread = threading.Thread(target=go_on)
    thread.start()
    assert show(tmp_path / "s", "0", lines=1, follow=True) == 0
    thread.join(10)
    assert capsys.readouterr() == ("two\nthree\nfour\n", "starling: 00000 failed: OSError: gone\n")


def test_a_file_that_was_cut_while_it_is_followed_goes_on_behind_what_was_seen(tmp_path, trial, capsys):
    driver, folder = trial()
    file = folder / "log-rank0.txt"
    content = [f"line {i}\n" for i in range(3_000)]
    file.write_text("".join(content[:2_000]))
    files = logs._Files(driver.folder.child("trials/00000"), None, labelled=False)
    files.read()
    file.write_text("--- 9 older bytes are left out\n" + "".join(content[1_500:2_100]))
    files.read()
    file.write_text("--- 9 older bytes are left out\n" + "".join(content[2_400:2_500]))  # too late for some
    files.read()
    assert capsys.readouterr().out == "".join(content[:2_100]) + "--- 9 older bytes are left out\n" + "".join(
        content[2_400:2_500]
    )


def test_where_nothing_was_printed_it_says_why(tmp_path, trial, capsys):
    driver, _ = trial()
    show(tmp_path / "s", "0")
    assert "00000 has not started yet, or has printed nothing" in capsys.readouterr().err
    driver.report("00000", 1, 0.5)
    show(tmp_path / "s", "0")
    assert "00000 (running) has printed nothing" in capsys.readouterr().err
    driver.end("00000", "failed", "RuntimeError: rank 1 of 2 died")
    show(tmp_path / "s", "0")
    assert "00000 failed: RuntimeError: rank 1 of 2 died" in capsys.readouterr().err
    with pytest.raises(ValueError, match="has no trial '5'"):
        show(tmp_path / "s", "5")
