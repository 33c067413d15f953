"""A pytest plug-in: in dogpile.cache's own tests, its regions are ours."""

import dogpile.cache
import dogpile.cache.region

from holdover.dogpile import CacheRegion, make_region

for module in (dogpile.cache, dogpile.cache.region):
    module.CacheRegion = CacheRegion
    module.make_region = make_region
