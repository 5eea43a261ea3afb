import json
from base64 import urlsafe_b64decode

from bridge.simulator.session import Claims, Sessions


def test_a_token_says_who_and_until_when() -> None:
    """A token that was given out is good, and carries what it was given for."""
    sessions = Sessions(60)

    claims = sessions.check(sessions.open("950", "B1", 1000).token, 1001)

    assert claims is not None
    assert (claims.user, claims.device, claims.expires_at) == ("950", "B1", 1060)


def test_the_expiry_can_be_read_without_the_key() -> None:
    """A client finds `exp` in the token's payload, as in any JWT."""
    payload = Sessions(60).open("950", "B1", 1000).token.split(".")[1]

    assert json.loads(urlsafe_b64decode(payload + "==="))["exp"] == 1060


def test_an_expired_token_is_refused_and_can_be_renewed() -> None:
    """Past its time a token opens nothing, but its refresh token still gives a new one."""
    sessions = Sessions(60)
    old = sessions.open("950", "B1", 1000)

    refused = sessions.check(old.token, 1060)
    new = sessions.renew(old.token, old.refresh, 1060)

    assert refused is None
    assert new is not None
    assert isinstance(sessions.check(new.token, 1061), Claims)


def test_a_refresh_token_serves_once() -> None:
    """The second use of a refresh token is refused."""
    sessions = Sessions(60)
    old = sessions.open("950", "B1", 1000)
    sessions.renew(old.token, old.refresh, 1001)

    assert sessions.renew(old.token, old.refresh, 1002) is None


def test_a_changed_token_is_refused() -> None:
    """A token whose signature does not fit is no token, whatever it says."""
    sessions = Sessions(60)
    head, payload, signature = sessions.open("950", "B1", 1000).token.split(".")

    tampered = [f"{head}.{payload}x.{signature}", f"{head}.{payload}.x", f"{head}.{payload}", "", "ž.ž.ž"]

    assert [sessions.check(token, 1001) for token in tampered] == [None] * 5
    assert sessions.refused == 5


def test_a_logout_ends_one_session_and_a_revocation_all() -> None:
    """The tokens of an ended session are refused at once."""
    sessions = Sessions(60)
    first, second = sessions.open("950", "B1", 1000), sessions.open("950", "B2", 1000)
    claims = sessions.check(first.token, 1001)
    assert claims is not None

    sessions.end(claims.session)
    after_logout = [sessions.check(tokens.token, 1001) is not None for tokens in (first, second)]
    sessions.end_all()

    assert after_logout == [False, True]
    assert sessions.check(second.token, 1001) is None


def test_expiring_tokens_leaves_the_sessions() -> None:
    """Tokens made to expire are refused, and can be renewed."""
    sessions = Sessions(60)
    old = sessions.open("950", "B1", 1000)

    sessions.expire(1001)

    assert sessions.check(old.token, 1001) is None
    new = sessions.renew(old.token, old.refresh, 1002)
    assert new is not None
    assert sessions.check(new.token, 1003) is not None


def test_rejecting_all_refuses_good_tokens_and_refreshes() -> None:
    """With every token rejected nothing opens; afterwards all is as before."""
    sessions = Sessions(60)
    tokens = sessions.open("950", "B1", 1000)

    sessions.reject_all = True
    refused = (sessions.check(tokens.token, 1001), sessions.renew(tokens.token, tokens.refresh, 1001))
    sessions.reject_all = False

    assert refused == (None, None)
    assert sessions.check(tokens.token, 1001) is not None
