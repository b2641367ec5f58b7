"""For schemathesis: what a photo may be."""

import schemathesis
from hypothesis import strategies as st

from tests.pictures import jpeg

schemathesis.openapi.media_type("image/*", st.binary(max_size=99) | st.just(jpeg()))
