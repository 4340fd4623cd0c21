"""How properties are tested: no clock decides, on however busy a machine."""

from hypothesis import settings

settings.register_profile("ai2text", deadline=None)
settings.load_profile("ai2text")
