"""A job: it is served while it is stale, and a thread or a worker makes the next."""

import re
from collections import Counter

from holdover.contrib_django.jobs import Job
from library.models import NO_SUMMARY, Article

# Those of a hundred codecs that a program has written.
_LEFT_OUT = frozenset(
    {"character", "codec", "generated", "mapping", "mappings", "micsft", "vendors"}
)


class Words(Job):
    """The commonest words of all summaries."""

    lifetime = 20

    def fetch(self) -> list[tuple[str, int]]:
        written = Article.objects.exclude(summary=NO_SUMMARY)
        summaries = written.values_list("summary", flat=True)
        words = re.findall(r"[a-z]{5,}", " ".join(summaries).lower())
        return Counter(one for one in words if one not in _LEFT_OUT).most_common(8)
