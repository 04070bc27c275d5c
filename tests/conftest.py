from hypothesis import settings

# No test asserts a speed.
settings.register_profile("report", parent=settings(), deadline=None)
settings.load_profile("report")
