"""What the tests about sessions share."""

from holdover.wsgi import Sessions

SECRET = "s" * 32
COOKIE = "__Host-session"


def pair_of(set_cookie):
    """Give the Cookie header by which a browser answers a Set-Cookie header."""
    return set_cookie.partition(";")[0]


def value_of(set_cookie):
    """Give the cookie's value."""
    return pair_of(set_cookie).partition("=")[2]


def attributes_of(set_cookie):
    """Give a cookie's attributes, as they stand there."""
    return set_cookie.split("; ")[1:]


class Browser:
    """Sends requests to sessions without a web server, and keeps the cookie.

    Args:
        sessions: A `Sessions`.
        cookie: The Cookie header to begin with.
    """

    def __init__(self, sessions, cookie=""):
        self.sessions = sessions
        self.cookie = cookie

    def request(self):
        """Begin a request; give its session."""
        return self.sessions.open(self.cookie)

    def answer(self, session, headers=()):
        """End a request; give the headers of its response."""
        made = session.respond(list(headers))
        for name, value in made:
            if name == "Set-Cookie":
                self._keep(value)
        return made

    def _keep(self, set_cookie):
        """Take a cookie, or forget one."""
        name, _, value = pair_of(set_cookie).partition("=")
        pairs = [one.partition("=") for one in self.cookie.split("; ") if one]
        jar = {one: held for one, _, held in pairs}
        jar[name] = value
        if "Max-Age=0" in set_cookie:
            jar.pop(name, None)
        self.cookie = "; ".join(f"{one}={held}" for one, held in jar.items())

    def put(self, **fields):
        """Store fields in one request; give its session."""
        session = self.request()
        session.update(fields)
        assert session.save()
        self.answer(session)
        return session

    def fields(self):
        """Read all fields in one request."""
        session = self.request()
        found = dict(session)
        self.answer(session)
        return found


def in_cookies(clock, **options):
    """Make sessions that are kept in their cookies."""
    return Sessions({"store": "cookie", "secret": SECRET, "now": clock.wall, **options})
