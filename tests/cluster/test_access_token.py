import os
import stat

import pytest

from cluster import access_token


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_is_made_once_readable_by_its_owner_alone_from_the_first_moment(home, monkeypatch):
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda *words, **more: opened.append(words) or real(*words, **more))
    before = os.umask(0)
    try:
        file = access_token.ensure()
    finally:
        os.umask(before)
    assert opened[0][1:] == (os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    assert file == home / ".starling/token/auth_token"
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    token = file.read_text()
    assert len(bytes.fromhex(token)) == 32
    assert access_token.ensure().read_text() == token


def test_a_token_that_others_can_read_is_closed_to_them_again(home):
    file = access_token.ensure()
    file.chmod(0o644)
    file.parent.chmod(0o755)
    access_token.ensure()
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)


def test_an_empty_token_is_refused(home):
    access_token.ensure().write_text("")
    with pytest.raises(ValueError, match="auth_token is empty; delete it"):
        access_token.ensure()
