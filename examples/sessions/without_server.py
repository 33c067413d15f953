"""Sessions without a web server: create, change, revert, and delete one.

Run it with ``python examples/sessions/without_server.py``, which keeps it in its
cookie, or say where to keep it: ``file:///var/cache/shop``, ``redis://localhost/0``,
``memcached://localhost``, ``sqlite:////var/cache/shop.db``.
"""

import sys

from holdover.wsgi import Sessions


def sessions_in(store: str) -> Sessions:
    if store == "cookie":
        return Sessions({"store": store, "secret": "an example, of at least 32 bytes"})
    return Sessions({"store": store})


def main(store: str) -> None:
    sessions = sessions_in(store)

    session = sessions.open()  # no cookie: it is new
    session["visits"] = 1
    session["cart"] = ["tea"]
    session.save()
    sent = session.set_cookie or ""
    print("created:", dict(session))

    cookie = sent.partition(";")[0]  # what a browser sends back
    session = sessions.open(cookie)
    session["cart"].append("cups")
    session.save()
    cookie = (session.set_cookie or cookie).partition(";")[0]
    print("changed:", dict(session))

    session = sessions.open(cookie)
    session["cart"].append("a mistake")
    session.revert()
    print("reverted:", dict(session))

    session.delete()
    print("deleted:", dict(session), "-", session.set_cookie)
    if store != "cookie":  # a copy of such a cookie stays good until its time is over
        print("gone:", dict(sessions.open(cookie)))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cookie")
