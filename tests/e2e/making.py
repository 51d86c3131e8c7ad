"""The creators, and how each makes an environment in little time."""

import pytest

from regrow.create import creators

CHEAPLY = {
    creators.UV: (),
    creators.VIRTUALENV: ("--no-seed",),
    creators.VENV: ("--without-pip",),
}
"""By creator: what spares it installing pip."""

over_creators = pytest.mark.parametrize(
    "creator",
    [
        pytest.param(creators.UV, marks=pytest.mark.needs("uv")),
        creators.VIRTUALENV,
        creators.VENV,
    ],
)
