"""Properties of codecs say nothing of time: on a busy machine an example may take long, and that is no failure."""

from hypothesis import settings

settings.register_profile("wire", deadline=None)
settings.load_profile("wire")
