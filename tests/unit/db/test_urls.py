"""Database URLs: what is taken, what is refused, and that no password is ever shown."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from db.errors import URLError
from db.urls import DatabaseURL, redact

SECRET = "hunter2"


def test_all_parts_are_read_and_decoded() -> None:
    url = DatabaseURL.parse("postgresql://an%40user:p%3A%2Fw@db.example.com:6543/a%20db?sslmode=verify-full")

    assert (url.user, url.password, url.host, url.port, url.database) == (
        "an@user",
        "p:/w",
        "db.example.com",
        6543,
        "a db",
    )
    assert url.sslmode == "verify-full"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("postgres://u@localhost/d", "localhost", 5432),
        ("postgresql://u@[::1]:5433/d", "::1", 5433),
        ("postgresql://u@[::1]/d", "::1", 5432),
        ("postgresql://u@%2Frun%2Fpostgresql/d", "/run/postgresql", 5432),
    ],
)
def test_hosts_of_every_kind_are_taken(text: str, host: str, port: int) -> None:
    url = DatabaseURL.parse(text)

    assert (url.host, url.port) == (host, port)
    assert DatabaseURL.parse(url.redacted()) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the database URL is empty: give postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("   ", "is empty"),
        ("localhost", "is no URL: give postgresql://"),
        (f"u:{SECRET}@localhost/d", "is no URL"),
        (f"host=localhost password={SECRET}", "contains a blank"),
        (f"mysql://u:{SECRET}@h/d", 'has the scheme "mysql": use postgresql'),
        (f"POSTGRESQL+psycopg://u:{SECRET}@h/d", "has the scheme"),
        (f"postgresql:/u:{SECRET}@h/d", "is no URL"),
        (f"postgresql://u:{SECRET}@/d", "names no host"),
        (f"postgresql://u:{SECRET}@:5432/d", "names no host"),
        ("postgresql:///d", "has no user name"),
        ("postgresql://localhost/d", "has no user name"),
        (f"postgresql://:{SECRET}@h/d", "has no user name"),
        (f"postgresql://u:{SECRET}", "has no user name"),
        (f"postgresql://u:{SECRET}@h", "names no database: add /DATABASE after the host"),
        (f"postgresql://u:{SECRET}@h/", "names no database"),
        (f"postgresql://u:{SECRET}@h/d/e", 'has "/d/e" where the database\'s name stands'),
        (f"postgresql://u:{SECRET}@h:port/d", 'has the port "port": give a number from 1 to 65535'),
        (f"postgresql://u:{SECRET}@h:0/d", 'has the port "0"'),
        (f"postgresql://u:{SECRET}@h:65536/d", 'has the port "65536"'),
        (f"postgresql://u:{SECRET}@h:-1/d", 'has the port "-1"'),
        (f"postgresql://u:{SECRET}@[::1/d", "has no valid host"),
        (f"postgresql://u:{SECRET}@h1,h2/d", "names several hosts: give one"),
        (f"postgresql://u:{SECRET}@h1:1,h2:2/d", "names several hosts: give one"),
        (f"postgresql://u:{SECRET}@x@h/d", "has more than one @: write @ in the password as %40"),
        (f"postgresql://u:{SECRET}/x@h/d", "has an @ after its host"),
        (f"postgresql://u:x?{SECRET}@h/d", "has an @ after its host"),
        (f"postgresql://u:x#{SECRET}@h/d", "has an @ after its host"),
        (f"postgresql://u:x@h/{SECRET}@d", "has an @ after its host"),
        (f"postgresql://u:{SECRET}@h/d#fragment", "contains #: write it as %23"),
        (f"postgresql://u:{SECRET}@h/d?sslmode=on", 'has sslmode "on": use one of disable, allow'),
        (f"postgresql://u:{SECRET}@h/d?ssl=true", 'has the unknown parameter "ssl": known are sslmode'),
        (f"postgresql://u:{SECRET}@h/d?sslmode=require&sslmode=disable", 'gives "sslmode" twice'),
        (f"postgresql://u:{SECRET}@h/d?sslmode", 'gives no value to "sslmode"'),
        (f"postgresql://u:{SECRET}@h/d?connect_timeout=soon", 'has connect_timeout "soon": give whole seconds'),
        (f"postgresql://u:{SECRET}@h/d\n", "contains a blank or control character"),
        (f"postgresql://u:{SECRET}\0@h/d", "contains a blank or control character"),
        (f"postgresql://u:{SECRET} @h/d", "contains a blank or control character: percent-encode it"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_says_why_without_the_password(text: str, words: str) -> None:
    with pytest.raises(URLError) as failure:
        DatabaseURL.parse(text)

    message = str(failure.value)
    assert words in message
    assert SECRET not in message
    assert message.isprintable()


def said_about(text: str) -> str:
    """The complaint about `text`, "" where it is a usable URL."""
    try:
        DatabaseURL.parse(text)
    except URLError as error:
        return str(error)
    return ""


@given(st.text(max_size=80))
def test_any_text_is_either_a_url_or_one_line(text: str) -> None:
    assert said_about(text).isprintable()


@given(
    st.sampled_from(["postgresql://u:{}@h/d", "mysql://u:{}@h:1/d?sslmode=on", "u:{}@h", "postgresql://u:{}@h:x/d"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=20),
)
def test_no_password_however_odd_shows_in_an_error(form: str, password: str) -> None:
    # nor by chance, as DATABA is in a hint
    assume(password not in form.format("***") + said_about(form.format("******")))

    assert password not in redact(form.format(password))
    assert password not in said_about(form.format(password))


def test_neither_str_nor_repr_shows_the_password() -> None:
    url = DatabaseURL.parse(f"postgresql://u:{SECRET}@h/d?sslmode=require")

    assert str(url) == url.redacted() == "postgresql://u:***@h:5432/d?sslmode=require"
    assert SECRET not in repr(url)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:p%20w@h:1/d?sslmode=verify-full",
        "postgresql://u@[::1]/d",
        "postgresql://u:p@h/d?options=endpoint%3Dep-x&channel_binding=require",
    ],
)
def test_libpq_reads_the_same_from_it(text: str) -> None:
    ours = DatabaseURL.parse(text).conninfo()
    theirs = {key: str(value) for key, value in conninfo_to_dict(text).items()}

    assert ours == {"port": "5432", **theirs}


def test_the_ca_is_given_beside_the_url() -> None:
    url = DatabaseURL.parse("postgresql://u:p@h/d?sslmode=verify-full")

    assert url.conninfo("/a/ca.crt")["sslrootcert"] == "/a/ca.crt"
    assert "sslrootcert" not in url.conninfo()


@pytest.mark.requirement("bots.providers.url")
def test_sqlalchemy_gets_psycopg_as_its_driver() -> None:
    made = DatabaseURL.parse("postgres://u:p%40w@h:1/d?sslmode=require").sqlalchemy()

    assert made.render_as_string(hide_password=False) == "postgresql+psycopg://u:p%40w@h:1/d?sslmode=require"
