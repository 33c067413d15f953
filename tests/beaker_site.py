"""A site in Beaker's documented words: what moves by changing its imports.

The tests load its text twice, once as it stands and once with Holdover's imports.
"""

from beaker.cache import CacheManager, cache_region, region_invalidate
from beaker.exceptions import BeakerException
from beaker.middleware import CacheMiddleware
from beaker.util import parse_cache_config_options

runs = []


@cache_region("long", "search")
def search(words, page=1):
    """Find, and note that it was looked for."""
    runs.append(words)
    return f"{words}, page {page}, run {len(runs)}"


class Shelf:
    """Its method is cached for all shelves alike."""

    def __init__(self, name):
        self.name = name

    @cache_region("long", "shelf")
    def label(self, article):
        """Name the shelf that was asked first."""
        return f"{article} on {self.name}"


def forget(words):
    """Have it looked for again."""
    region_invalidate(search, None, "search", words)


def gone(_):
    """Say that something was removed, whatever that returned."""
    return "gone"


def load(words, manager):
    """Cache what is defined on the way, as Beaker's manual does."""

    @manager.region("short", "load")
    def loaded(words):
        runs.append(words)
        return f"loaded {words} {len(runs)}"

    return loaded(words)


def fail():
    """Raise, as creators may."""
    raise ZeroDivisionError("nothing to divide")


def answers(manager):
    """Give what the site says to each of its paths."""
    letters = manager.get_cache("letters")

    @manager.cache("made", expire=600)
    def made(number):
        runs.append(number)
        return len(runs)

    def tried(function, *expected):
        try:
            return function()
        except expected as error:
            return f"{'KeyError' if isinstance(error, KeyError) else 'error'}"

    def again(key, **kw):
        return letters.get(key, createfunc=lambda: len(runs), **kw)

    def other():
        return manager.get_cache("other letters")

    def odd(name):
        return manager.get_cache(name)

    return {
        "search": lambda: [search("tea"), search("tea"), search("tea", 2)],
        "named": lambda: [search("cup", page=3), search(words="cup", page=3)],
        "forget": lambda: [search("mug"), forget("mug"), search("mug"), search("tea")],
        "by-namespace": lambda: [
            search("pot"),
            gone(manager.region_invalidate(
                search._arg_namespace, "long", "search", "pot"
            )),
            search("pot"),
        ],
        "numbers": lambda: [search(5), search("5"), forget("5"), search(5)],
        "methods": lambda: [Shelf("left").label("jam"), Shelf("right").label("jam")],
        "unmethod": lambda: [
            gone(region_invalidate(Shelf.label, None, "shelf", "jam")),
            Shelf("right").label("jam"),
        ],
        "load": lambda: [load("x", manager), load("x", manager), load("y", manager)],
        "made": lambda: [made(1), made(1), gone(manager.invalidate(made, "made", 1)),
                         made(1)],
        "put": lambda: [letters.put("a", 1), letters.get("a"), letters["a"]],
        "set": lambda: [letters.set_value("b", None), letters.get_value("b"),
                        "b" in letters, letters.has_key("b")],
        "item": lambda: [letters.__setitem__("c", [1]), letters["c"],
                         letters.__delitem__("c"), "c" in letters],
        "remove": lambda: [letters.put("d", 1), gone(letters.remove_value("d")),
                           gone(letters.remove("never there")), "d" in letters],
        "missing": lambda: tried(lambda: letters.get("e"), KeyError),
        "missing-item": lambda: tried(lambda: letters["e"], KeyError),
        "created": lambda: [again("f"), runs.append("f"), again("f")],
        "none": lambda: [letters.get("g", createfunc=lambda: None), again("g"),
                         "g" in letters],
        "fails": lambda: [tried(lambda: letters.get("h", createfunc=fail),
                                ZeroDivisionError), "h" in letters],
        "over": lambda: [letters.put("i", 1, expiretime=-1), "i" in letters,
                         tried(lambda: letters["i"], KeyError)],
        "over-fails": lambda: [
            letters.put("j", 1, expiretime=-1),
            tried(lambda: letters.get("j", createfunc=fail), ZeroDivisionError),
        ],
        "lives": lambda: [letters.put("k", 1, expiretime=600), again("k")],
        "started": lambda: [letters.put("l", 1), again("l", starttime=2.0),
                            letters.put("l", "old"),
                            again("l", starttime=9_000_000_000.0) == "old"],
        "clear": lambda: [letters.put("m", 1), other().put("m", 2),
                          gone(letters.clear()),
                          "m" in letters, other()["m"]],
        "odd": lambda: [odd(name).put("k", name) or odd(name)["k"] for name in ODD],
        "region": lambda: [manager.get_cache_region("n", "long").put("k", 1),
                           manager.get_cache_region("n", "long")["k"]],
        "no-region": lambda: tried(
            lambda: manager.get_cache_region("n", "nowhere"), BeakerException
        ),
        "types": lambda: [manager.get_cache("t", type="memory").put("k", 1),
                          manager.get_cache("t", type="memory")["k"]],
    }  # fmt: skip


ODD = ("", "a:b", "../../etc", "é ü", "x" * 400, "%s|#;=", "a/b")


def site(environ, start_response):
    """Answer one path."""
    answer = answers(environ["beaker.cache"])[environ["PATH_INFO"].strip("/")]
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [repr(answer()).encode()]


def application(config):
    """Put the cache around it."""
    return CacheMiddleware(site, config)


def standalone(config):
    """Do without WSGI."""
    return CacheManager(**parse_cache_config_options(config))
