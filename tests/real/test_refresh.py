"""From login to logout with a rotating provider and a real keyring."""
import concurrent.futures

import parts


def stored_secrets(person):
    return [secret for _, secret in person.session.items()]


def test_a_token_with_life_left_is_printed_again_and_a_short_lived_one_is_refreshed(person, provider):
    provider.set(access_token_ttl=30)
    person.signs_in(provider)
    first = person.token("--min-ttl", "10s")
    assert first == provider.issued("access_token")[0]
    assert provider.refreshes() == []

    second = person.token("--min-ttl", "60s")
    assert second != first
    assert len(provider.refreshes()) == 1
    assert provider.userinfo(second).json()["email"] == parts.ALICE


def test_the_rotated_refresh_token_is_the_one_that_is_stored(person, provider):
    person.signs_in(provider)
    for _ in range(3):
        token = person.token("--force-refresh")
        newest = provider.issued("refresh_token")[-1].encode()
        older = [t.encode() for t in provider.issued("refresh_token")[:-1]]
        secrets = stored_secrets(person)
        assert sum(newest in secret for secret in secrets) == 1
        assert not any(t in secret for t in older for secret in secrets)
        assert provider.userinfo(token).status_code == 200
    assert len(provider.issued("refresh_token")) == 4


def test_logout_revokes_both_tokens_and_the_next_token_names_the_login_line(person, provider):
    person.signs_in(provider)
    access, refresh = person.token(), provider.issued("refresh_token")[-1]
    assert provider.is_active(access) and provider.is_active(refresh)

    done = person.gauth("logout")
    assert done.code == 0, done
    assert not provider.is_active(access) and not provider.is_active(refresh)
    assert provider.userinfo(access).status_code == 401
    assert person.session.items() == []
    assert person.profiles() == []
    assert not any(access in path.read_text(errors="replace") for path in person.files())

    after = person.gauth("token")
    assert (after.code, after.out) == (4, ""), after
    assert parts.login_line(after)[0] == "login"


def test_the_login_line_after_a_withdrawn_consent_works_as_it_stands(person, provider):
    person.signs_in(provider, "--profile", "work", "--scope", "openid", "--scope", "email",
                    "--scope", "https://api.example.test/auth/read")
    provider.withdraw_consent()
    done = person.gauth("token", "--profile", "work", "--force-refresh")
    assert (done.code, done.out) == (4, ""), done

    status = person.gauth("status", "--profile", "work", "--json")
    assert status.code in (0, 4), status
    assert '"needs_login":true' in status.out.replace(" ", ""), status

    person.forget_browser()
    again = person.gauth(*parts.login_line(done))
    assert again.code == 0, again
    assert provider.userinfo(person.token("--profile", "work")).status_code == 200
    scopes = [p for p in person.profiles() if p["profile"] == "work"][0]["scopes"]
    assert "https://api.example.test/auth/read" in scopes


def test_a_second_login_revokes_the_old_grant_after_the_new_one_is_stored(person, provider):
    person.signs_in(provider)
    person.signs_in(provider)
    old, new = provider.issued("refresh_token")
    assert not provider.is_active(old)
    assert provider.is_active(new)
    assert len(person.session.items()) == 1
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200


def test_ten_processes_at_once_refresh_once_and_all_get_the_token(person, provider):
    provider.set(access_token_ttl=60)
    person.signs_in(provider)
    provider.set(access_token_ttl=3600)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        tokens = list(pool.map(lambda _: person.token("--min-ttl", "5m"), range(10)))
    assert len(set(tokens)) == 1
    assert len(provider.refreshes()) == 1
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200


def test_a_provider_in_trouble_is_exit_6_and_nothing_is_lost(person, provider):
    provider.set(access_token_ttl=1)
    person.signs_in(provider)
    parts.wait_for(lambda: provider.userinfo(provider.issued("access_token")[0]).status_code == 401, "the token's end")
    provider.fault("503", count=-1)
    done = person.gauth("token")
    assert (done.code, done.out) == (6, ""), done
    provider.no_more_faults()
    provider.set(access_token_ttl=3600)
    assert provider.userinfo(person.token()).status_code == 200


def test_an_unreachable_provider_lets_a_token_with_life_left_pass_with_a_warning(person):
    with parts.provider() as provider:
        person.signs_in(provider)
        token = person.token()
    done = person.gauth("token", "--min-ttl", "2h")
    assert (done.code, done.out.strip()) == (0, token), done
    assert "warning" in done.err.lower(), done


def test_logout_from_an_unreachable_provider_deletes_here_and_says_that_the_grant_lives_on(person):
    with parts.provider() as provider:
        person.signs_in(provider)
    done = person.gauth("logout")
    assert done.code == 6, done
    assert "warning" in done.err.lower(), done
    assert person.session.items() == []
    assert person.profiles() == []
